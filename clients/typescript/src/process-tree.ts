/** Ends processes with all that they have started. */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const alive = new Set<ChildProcess>();

/** From now on the child ends with this program at the latest. */
export function watchOver(child: ChildProcess): void {
  if (alive.size === 0) process.on("exit", killAll);
  alive.add(child);
  child.once("exit", () => {
    alive.delete(child);
    if (alive.size === 0) process.off("exit", killAll);
  });
}

/**
 * SIGKILL to the child's process group; on Windows taskkill for its tree.
 *
 * For a child that was started `detached`, and so leads its group. May be called when it has just exited:
 * the rest of its group keeps the number from being given to anybody else.
 */
export function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    killWindowsTree(child, child.pid);
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // macOS answers EPERM for a group whose only member is a zombie.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function killWindowsTree(child: ChildProcess, pid: number): void {
  const taskkill = join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", "taskkill.exe");
  const killer = spawn(taskkill, ["/pid", String(pid), "/t", "/f"], { windowsHide: true, stdio: "ignore" });
  killer.once("error", () => child.kill("SIGKILL"));
}

function killAll(): void {
  for (const child of alive) killTree(child);
}
