// The Helm chart, and the programs that scripts/chart/tools.sh brings for its tests.

import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { environmentIn, output } from './image-clients.ts';
import { tempDir } from './tmp.ts';

export const chartDir = fileURLToPath(new URL('../../charts/larder', import.meta.url));

/** LARDER_TEST_CHART: the folder that scripts/chart/tools.sh filled. */
export const tools = resolve(process.env['LARDER_TEST_CHART'] ?? '.cache/chart');

/** By name, with the folder of `ci` before it. */
export const ciFiles: readonly string[] = readdirSync(join(chartDir, 'ci')).map((name) =>
  join(chartDir, 'ci', name),
);

/** An object of Kubernetes, as far as tests look into it. */
export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

/** Runs a program of DEST/bin without a world around it. Rejects with what it said. */
export const chartTool = (name: string, ...args: string[]): Promise<string> =>
  output([join(tools, 'bin', name), ...args], environmentIn(tempDir()));

/** What a release named `larder` would be. Rejects with what helm said. */
export async function render(helm: string, ...args: string[]): Promise<KubernetesObject[]> {
  const text = await chartTool(helm, 'template', 'larder', chartDir, ...args);
  return parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
}

interface Source {
  readonly configMap?: { readonly name: string };
  readonly secret?: {
    readonly name: string;
    readonly items: readonly { key: string; path: string }[];
  };
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

interface Workload {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly env?: readonly Variable[] }[];
        readonly volumes: readonly {
          readonly projected?: { readonly sources: readonly Source[] };
        }[];
      };
    };
  };
}

/** The environment of Larder's container as Kubernetes would make it, its files below `dir`. */
export function podEnvironment(
  objects: readonly KubernetesObject[],
  dir: string,
): Record<string, string> {
  const workload = objects.find(({ kind }) => /^(Deployment|StatefulSet)$/.test(kind));
  if (workload === undefined) throw new Error('There is no workload.');
  const { volumes, containers } = (workload as unknown as Workload).spec.template.spec;
  for (const source of volumes.flatMap(({ projected }) => projected?.sources ?? []))
    for (const [path, text] of filesOf(objects, source)) writeFileSync(join(dir, path), text);
  const env = { ...textsOf(objects, 'ConfigMap', 'larder') };
  for (const variable of containers[0]?.env ?? []) {
    const value = valueOf(objects, variable);
    env[variable.name] = value.replace(/\$\((\w+)\)/g, (_, other: string) => env[other] ?? '');
  }
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replace('/etc/larder', dir)]),
  );
}

function filesOf(
  objects: readonly KubernetesObject[],
  { secret, configMap }: Source,
): (readonly [path: string, text: string])[] {
  if (configMap) return Object.entries(textsOf(objects, 'ConfigMap', configMap.name));
  const texts = textsOf(objects, 'Secret', secret?.name ?? '');
  return (secret?.items ?? []).map(({ key, path }) => [path, wanted(texts, key)]);
}

/** What only the cluster knows is its address of the pod. */
function valueOf(objects: readonly KubernetesObject[], { value, valueFrom }: Variable): string {
  if (valueFrom === undefined) return value ?? '';
  const from = valueFrom.secretKeyRef;
  return from ? wanted(textsOf(objects, 'Secret', from.name), from.key) : '10.0.0.5';
}

function wanted(texts: Readonly<Record<string, string>>, key: string): string {
  const text = texts[key];
  if (text === undefined) throw new Error(`There is no key ${key}.`);
  return text;
}

/** Of a ConfigMap or a Secret. */
function textsOf(objects: readonly KubernetesObject[], kind: string, name: string) {
  const { data = {}, stringData = {} } = find(objects, kind, name);
  if (kind === 'ConfigMap') return data;
  const decoded = Object.entries(data).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString(),
  ]);
  return { ...(Object.fromEntries(decoded) as Record<string, string>), ...stringData };
}

function find(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`There is no ${kind} ${name}.`);
  return found;
}
