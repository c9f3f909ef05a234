import { LarderError } from '../engine/errors.ts';

/** What a name on the command line is about: `go:…`, `oci:…`. */
export interface Name {
  readonly protocol: 'go' | 'oci';
  readonly text: string;
}

/** Throws LarderError `invalid` for what names no protocol; what stands behind it is for that to judge. */
export function parseName(name: string): Name {
  const [, protocol, text = ''] = /^(go|oci):(.+)$/s.exec(name) ?? [];
  if (protocol === 'go' || protocol === 'oci') return { protocol, text };
  throw new LarderError(
    'invalid',
    `${JSON.stringify(name)} is no name: write go: or oci: in front, as in go:example.com/m@v1.0.0`,
  );
}
