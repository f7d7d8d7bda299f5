// What is going on, told on a terminal while it lasts.

/** Tells how far something is, in one line that is written over. */
export interface Progress {
  tell(text: string): void;
  clear(): void;
}

/** Milliseconds before anything is told, and between two tellings. */
const PATIENCE = 1000;
const PAUSE = 200;

/** Progress on a stream; on one that is no terminal, nothing. */
export function progressOf(stream: NodeJS.WriteStream): Progress {
  let next = Date.now() + PATIENCE;
  let isShown = false;
  return {
    tell: (text) => {
      if (!stream.isTTY || Date.now() < next) return;
      next = Date.now() + PAUSE;
      isShown = true;
      stream.write(`\r\u001B[2K${text.slice(0, (stream.columns ?? 80) - 1)}`);
    },
    clear: () => {
      next = Date.now() + PATIENCE;
      if (isShown) stream.write('\r\u001B[2K');
      isShown = false;
    },
  };
}
