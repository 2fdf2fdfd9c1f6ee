/** For an Electron preload script: lets the page's own scripts reach the main process, and nothing else. */

import { CHANNEL } from "./bridge/electron.js";

/** What the page finds; functions alone, as the context bridge wants it. */
export interface ExposedEngine {
  send: (message: unknown) => void;
  listen: (listener: (message: unknown) => void) => void;
}

/** Of Electron, what a preload script has. */
export interface PreloadElectron {
  contextBridge: { exposeInMainWorld(name: string, api: ExposedEngine): void };
  ipcRenderer: {
    send(channel: string, message: unknown): void;
    on(channel: string, listener: (event: unknown, message: unknown) => void): unknown;
  };
}

/** Expose the way to the engine as `window.llmSidecar`, for `connectEngine` of the renderer module. */
export function exposeEngine(
  { contextBridge, ipcRenderer }: PreloadElectron,
  { name = "llmSidecar", channel = CHANNEL }: { name?: string; channel?: string } = {},
): void {
  contextBridge.exposeInMainWorld(name, {
    send: (message) => ipcRenderer.send(channel, message),
    // The event stays here: it would hand the page all of ipcRenderer.
    listen: (listener) => {
      ipcRenderer.on(channel, (_event, message) => listener(message));
    },
  });
}
