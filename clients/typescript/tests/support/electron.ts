/** Of Electron, what the bridge needs: both processes' ends of ipc, with values cloned as Electron clones them. */

import { EventEmitter } from "node:events";

import { type ExposedEngine, exposeEngine } from "../../src/preload.js";

/** The ipc of one window. */
export class Ipc {
  readonly ipcMain = new EventEmitter();
  readonly webContents = Object.assign(new EventEmitter(), {
    destroyed: false,
    send: (channel: string, message: unknown) => {
      setImmediate(() => this.ipcRenderer.emit(channel, {}, structuredClone(message)));
    },
    isDestroyed(): boolean {
      return this.destroyed;
    },
  });
  readonly ipcRenderer = Object.assign(new EventEmitter(), {
    send: (channel: string, message: unknown) => {
      const clone: unknown = structuredClone(message);
      setImmediate(() => this.ipcMain.emit(channel, { sender: this.webContents }, clone));
    },
  });

  /** What the preload script gives a new page. */
  loadPage(): ExposedEngine {
    this.ipcRenderer.removeAllListeners();
    const page: Record<string, ExposedEngine> = {};
    const contextBridge = {
      exposeInMainWorld(name: string, api: ExposedEngine): void {
        page[name] = api;
      },
    };
    exposeEngine({ contextBridge, ipcRenderer: this.ipcRenderer });
    if (page["llmSidecar"] === undefined) throw new Error("nothing was exposed");
    return page["llmSidecar"];
  }
}

const only = new Ipc();

// What the module "electron" gives to an application with one window, whose page sees this module's globals.

export const app = Object.assign(new EventEmitter(), {
  whenReady: () => Promise.resolve(),
  quit: () => app.emit("quit"),
});

export const { ipcMain, ipcRenderer } = only;

export const contextBridge = {
  exposeInMainWorld(name: string, api: unknown): void {
    Object.defineProperty(globalThis, name, { value: api, configurable: true });
  },
};

export class BrowserWindow {
  readonly webContents = only.webContents;
  page: string | undefined;

  constructor(readonly options: { webPreferences: { preload: string } }) {}

  loadFile(page: string): Promise<void> {
    this.page = page;
    return Promise.resolve();
  }
}
