/** Electron's ipc as a link. Its types are written out here, so that nothing depends on Electron. */

import type { Link } from "./link.js";

/** The channel that the preload script uses unless told otherwise. */
export const CHANNEL = "llm-sidecar";

type IpcListener = (event: { sender: unknown }, message: unknown) => void;

/** Electron's `ipcMain`. */
export interface IpcMainLike {
  on(channel: string, listener: IpcListener): unknown;
  removeListener(channel: string, listener: IpcListener): unknown;
}

/** Electron's `WebContents`. */
export interface WebContentsLike {
  send(channel: string, message: unknown): void;
  isDestroyed(): boolean;
  once(event: "destroyed" | "render-process-gone", listener: () => void): unknown;
}

/** The main process's end of the link to one window whose preload script calls `exposeEngine`. */
export function windowLink(
  electron: { ipcMain: IpcMainLike; webContents: WebContentsLike },
  channel: string = CHANNEL,
): Link {
  const { ipcMain, webContents } = electron;
  let listener: IpcListener | undefined;
  const close = (): void => {
    if (listener !== undefined) ipcMain.removeListener(channel, listener);
    listener = undefined;
  };
  return {
    send(message) {
      if (!webContents.isDestroyed()) webContents.send(channel, message);
    },
    listen(onMessage, onClose) {
      listener = ({ sender }, message) => {
        // All windows share the channel.
        if (sender === webContents) onMessage(message);
      };
      ipcMain.on(channel, listener);
      const closed = (): void => {
        close();
        onClose();
      };
      webContents.once("destroyed", closed);
      webContents.once("render-process-gone", closed);
    },
    close,
  };
}
