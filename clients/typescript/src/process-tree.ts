/** Ends a process with all that it has started. */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

/** Kill a child that still runs, and all below it. */
export function killTree(child: ChildProcess): void {
  if (process.platform === "win32") killWindowsTree(child);
  else killGroup(child);
}

/**
 * Kill the process group of a child that was started `detached`, and so leads it; also right after the child's
 * end: what is left of its group keeps the number from being given to anybody else. Windows has no groups.
 */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || process.platform === "win32") return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // macOS answers EPERM for a group whose only member is a zombie.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function killWindowsTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const taskkill = join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", "taskkill.exe");
  const args = ["/pid", String(child.pid), "/t", "/f"];
  spawn(taskkill, args, { windowsHide: true, stdio: "ignore" }).once("error", () => child.kill("SIGKILL"));
}
