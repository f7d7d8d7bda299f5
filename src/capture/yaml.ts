// YAML, for those who have some: the package is large, so nothing else imports it and a capture without YAML never loads it.
import { LineCounter, parseDocument } from 'yaml';
import type { ReadYaml } from './manifest.ts';

/** Reads one YAML document. */
export const readYaml: ReadYaml = (text) => {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const fault = document.errors[0];
    if (fault) return { fault: fault.message.split('\n')[0] ?? '', line: lines.linePos(fault.pos[0]).line };
    const value: unknown = document.toJS();
    return { value };
  } catch (error) {
    // aliases that would grow without end
    return { fault: error instanceof Error ? error.message : String(error), line: 1 };
  }
};
