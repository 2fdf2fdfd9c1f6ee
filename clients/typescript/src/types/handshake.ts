/** Before the first request: the spawn line, the ready line, hello and welcome, the connection file. */

/** Bounds of one connection. */
export interface Limits {
  /** A longer body is refused with `too_large`; the connection lives. */
  message_bytes: number;
  /** The transport drops a longer frame unseen; only a hostile peer meets it. */
  frame_bytes: number;
  /** Nesting of arrays and maps. */
  depth: number;
  /** Array items, map keys and map values in one body, counted together. */
  elements: number;
  /** Open streaming requests of one connection; beyond: `busy`. */
  streams: number;
  /** Requests of one connection that run at once, streaming or not; beyond: `busy`. */
  requests: number;
  /** Events a stream may be ahead of its reader. */
  credit: number;
  /** Events held back for one stream without credit; beyond: `slow_consumer`. */
  held_bytes: number;
}

/** The one JSON line a host writes to the sidecar's stdin; it then keeps stdin open. */
export interface SpawnLine {
  protocols: number[];
  /** The host's CURVE public key, z85. */
  client_key: string;
  host_pid: number;
  options: Record<string, unknown>;
}

/** The one JSON line the sidecar prints when it can be connected to. */
export interface ReadyLine {
  ready: number;
  endpoint: string;
  /** The sidecar's CURVE public key, z85. */
  server_key: string;
  protocol: number;
  version: string;
  boot_id: string;
  pid: number;
}

/** Who is calling. */
export interface ClientInfo {
  name: string;
  version: string;
  language: string;
}

/** A host's first message. */
export interface Hello {
  protocols: number[];
  client: ClientInfo;
  /** Engine-to-host requests it answers, e.g. "host.call_tool". */
  capabilities: string[];
}

/** The answer to hello. */
export interface Welcome {
  protocol: number;
  boot_id: string;
  version: string;
  capabilities: string[];
  limits: Limits;
  methods: string[];
}

/** The end of a connection and why. */
export interface Bye {
  code: string;
  message: string;
}

/** What `sidecar --socket` leaves for its user's own tools to connect with; valid for this boot alone. */
export interface ConnectionFile {
  endpoint: string;
  server_key: string;
  client_key: string;
  client_secret: string;
  boot_id: string;
  pid: number;
  protocol: number;
  version: string;
  app_id: string;
}
