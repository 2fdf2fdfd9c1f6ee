/** Two ends that pass messages which survive structured cloning. Knows nothing of what they mean. */

/** One end. */
export interface Link {
  /** Throws for a message that cannot be cloned. */
  send(message: unknown): void;
  /** Called once, before anything is sent. */
  listen(onMessage: (message: unknown) => void, onClose: () => void): void;
  close(): void;
}

/** A MessagePort of a browser, of Node, or Electron's MessagePortMain. */
export interface PortLike {
  postMessage(message: unknown): void;
  start(): void;
  close(): void;
  addEventListener?(type: "message" | "close", listener: (event: object) => void): void;
  on?(type: "message" | "close", listener: (event: object) => void): unknown;
}

/** The end of a link that is one port of a message channel. */
export function portLink(port: PortLike): Link {
  return {
    send: (message) => port.postMessage(message),
    listen(onMessage, onClose) {
      const message = (event: object): void => onMessage("data" in event ? event.data : undefined);
      // MessagePortMain is an EventEmitter; the others are event targets.
      if (port.addEventListener !== undefined) {
        port.addEventListener("message", message);
        port.addEventListener("close", onClose);
      } else {
        port.on?.("message", message);
        port.on?.("close", onClose);
      }
      port.start();
    },
    close: () => port.close(),
  };
}
