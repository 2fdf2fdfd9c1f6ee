/** Asks the compiler about sources that exist in memory alone. */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The package's folder, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What the compiler does not like. */
export interface Problem {
  file: string;
  /** From 0. */
  line: number;
  message: string;
}

/** The options of tsconfig.json. */
export function ownOptions(): ts.CompilerOptions {
  const path = `${ROOT}tsconfig.json`;
  const { config } = ts.readConfigFile(path, (name) => ts.sys.readFile(name)) as { config: unknown };
  return ts.parseJsonConfigFileContent(config, ts.sys, dirname(path)).options;
}

/** Compile sources, given by their paths in the package, and all that they import. */
export function compile(sources: Readonly<Record<string, string>>, options: ts.CompilerOptions): Problem[] {
  const texts = new Map(Object.entries(sources).map(([name, text]) => [ROOT + name, text]));
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => texts.has(path) || disk.fileExists(path),
    readFile: (path) => texts.get(path) ?? disk.readFile(path),
    getSourceFile: (path, version, ...rest) => {
      const text = texts.get(path);
      if (text === undefined) return disk.getSourceFile(path, version, ...rest);
      return ts.createSourceFile(path, text, version);
    },
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => ({
    file: file?.fileName.replace(ROOT, "") ?? "",
    line: file?.getLineAndCharacterOfPosition(start).line ?? 0,
    message: ts.flattenDiagnosticMessageText(messageText, "\n"),
  }));
}
