/**
 * A string that is one of these values today. A newer engine may send others, so a `switch` over it
 * needs a default.
 */
export type OpenEnum<Known extends string> = Known | (string & Record<never, never>);

/** What arrives in place of an event whose type this version does not know. */
export interface UnknownEvent {
  type: "unknown";
  /** The event as the engine sent it. */
  event: Readonly<Record<string, unknown>>;
}
