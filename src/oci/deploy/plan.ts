// All of what is to be deployed, in the order of its lines: what must be done before what.

import type { OciUpstreams } from '../upstreams.ts';
import { readDeployLine, type DeployInput } from './input.ts';

/** An input, and those of earlier lines that must have ended before it begins. */
export interface Step {
  readonly input: DeployInput;
  /** Places in the plan, all of them earlier ones: so some step can always go on. */
  readonly after: readonly number[];
}

export interface Plan {
  readonly steps: readonly Step[];
  /** Bytes of inputs, by digest: the nearest source of what a manifest needs. */
  readonly inputs: ReadonlyMap<string, DeployInput>;
}

/**
 * Reads all lines; empty ones are none. `problems`: each as `line N: reason`, in order; with one of them nothing may be sent.
 * All inputs are in memory then.
 */
export async function planDeploy(
  lines: AsyncIterable<string>,
  upstreams: OciUpstreams,
): Promise<Plan & { readonly problems: readonly string[] }> {
  const found: { line: number; problem: string }[] = [];
  const inputs: DeployInput[] = [];
  let line = 0;
  for await (const text of lines) {
    line++;
    if (text.trim() === '') continue;
    const read = readDeployLine(text, line, upstreams);
    if ('input' in read) inputs.push(read.input);
    else for (const problem of read.problems) found.push({ line, problem });
  }
  const byDigest = placesByDigest(inputs);
  const lastOf = new Map<string, number>();
  const steps = inputs.map((input, at): Step => {
    const after = new Set<number>();
    for (const problem of childProblems(input, at, inputs, byDigest, after))
      found.push({ line: input.line, problem });
    for (const { repository, reference } of input.refs) {
      // of two lines for one tag the later one counts
      const key = `${repository.upstream.name}/${repository.path} ${reference}`;
      const earlier = lastOf.get(key);
      if (earlier !== undefined && earlier !== at) after.add(earlier);
      lastOf.set(key, at);
    }
    return { input, after: [...after] };
  });
  const problems = found
    .sort((one, other) => one.line - other.line)
    .map(({ line: number, problem }) => `line ${String(number)}: ${problem}`);
  return { steps, inputs: firstOf(inputs, byDigest), problems };
}

function placesByDigest(inputs: readonly DeployInput[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  for (const [at, { digest, refs }] of inputs.entries()) {
    for (const text of new Set([digest, ...refs.map((ref) => ref.digest)])) {
      const held = places.get(text);
      if (held) held.push(at);
      else places.set(text, [at]);
    }
  }
  return places;
}

/** Adds to `after` the places of the children that are inputs themselves. */
function childProblems(
  input: DeployInput,
  at: number,
  inputs: readonly DeployInput[],
  byDigest: ReadonlyMap<string, readonly number[]>,
  after: Set<number>,
): string[] {
  const problems: string[] = [];
  for (const child of input.children) {
    const places = byDigest.get(child.digest) ?? [];
    const earlier = places.filter((place) => place < at);
    for (const place of earlier) after.add(place);
    const one = inputs[earlier[0] ?? places[0] ?? -1];
    if (one === undefined) continue;
    const where = `its child ${child.digest}, line ${String(one.line)}, `;
    if (earlier.length === 0) problems.push(`${where}comes later: children come first`);
    if (one.kind !== child.kind) problems.push(`${where}is a ${one.kind}`);
    else if (one.bytes.length !== child.size)
      problems.push(
        `${where}has ${String(one.bytes.length)} bytes, and size is ${String(child.size)}`,
      );
    else if (one.kind === 'manifest' && one.mediaType !== child.mediaType)
      problems.push(`${where}has the mediaType ${one.mediaType}, not ${child.mediaType}`);
  }
  return problems;
}

function firstOf(
  inputs: readonly DeployInput[],
  byDigest: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, DeployInput> {
  const found = new Map<string, DeployInput>();
  for (const [digest, [first = -1]] of byDigest) {
    const input = inputs[first];
    if (input) found.set(digest, input);
  }
  return found;
}
