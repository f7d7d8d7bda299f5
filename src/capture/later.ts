// What is worked out only where somebody asks for it.

/** A value that is made when it is first asked for. */
export function later<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
