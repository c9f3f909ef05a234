// Releases of the chart on the node of kubernetes.ts: installed, tried, upgraded and taken away by helm.

import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chartDir, tools } from './chart.ts';
import { request } from './http.ts';
import type { KubernetesNode } from './kubernetes.ts';
import { atEnd, eventually, tempDir } from './tmp.ts';

const SERVER = 'app.kubernetes.io/component=server';

/** Values as YAML has them. */
export type Values = Readonly<Record<string, unknown>>;

interface ReleaseOptions {
  /** Of pod security, which the namespace enforces. */
  readonly level: 'restricted' | 'privileged';
  /** Files of values, in their order. */
  readonly files?: readonly string[];
  /** Values beside those of the files, or in their place. */
  readonly values: Values;
  /** Objects that are there before it. */
  readonly before?: readonly object[];
}

/** A line of a pod's log. */
type LogLine = Readonly<Record<string, unknown>>;

export class Release {
  /** What `helm install` printed. */
  notes = '';
  /** URL at which the Service is reached from the node, without a slash at its end. */
  base = '';
  readonly #node: KubernetesNode;
  readonly #namespace: string;
  readonly #files: readonly string[];
  #values: Values;
  #before = new Set<string>();

  private constructor(node: KubernetesNode, namespace: string, options: ReleaseOptions) {
    this.#node = node;
    this.#namespace = namespace;
    this.#files = options.files ?? [];
    this.#values = options.values;
  }

  /** Installs `larder` in a new namespace and waits until it is ready. Rejects with what is wrong with its pods. */
  static async install(
    node: KubernetesNode,
    namespace: string,
    options: ReleaseOptions,
  ): Promise<Release> {
    const release = new Release(node, namespace, options);
    const enforce = { 'pod-security.kubernetes.io/enforce': options.level };
    const metadata = { name: namespace, labels: enforce };
    await node.apply({ apiVersion: 'v1', kind: 'Namespace', metadata }, ...(options.before ?? []));
    atEnd(() => node.kubectl('delete', 'namespace', namespace, '--wait=false'));
    await release.#settled();
    release.#before = new Set(await release.#objects());
    release.notes = await release.#install('install');
    const address = ['--output', 'jsonpath={.spec.clusterIP}'];
    release.base = `http://${await release.#kubectl('get', 'service', 'larder', ...address)}:3000`;
    await release.#answers();
    return release;
  }

  /** `hosts.toml`, as the notes have it. */
  async hostsToml(): Promise<string> {
    const lines = /^ {2}(\[host\.".+"\]\n {4}capabilities = .+)$/m.exec(this.notes)?.[1];
    if (lines === undefined) throw new Error(`The notes have no hosts.toml:\n${this.notes}`);
    return `${await this.#byAddress(lines)}\n`;
  }

  /** `GOPROXY`, as the notes have it. */
  async goproxy(): Promise<string> {
    const url = /^ {2}GOPROXY=(\S+)$/m.exec(this.notes)?.[1];
    if (url === undefined) throw new Error(`The notes have no GOPROXY:\n${this.notes}`);
    return this.#byAddress(url);
  }

  /** Changes values, and resolves when all pods are ready by the new ones. */
  async upgrade(change: (values: Values) => Values): Promise<void> {
    this.#values = change(this.#values);
    await this.#install('upgrade');
    await this.#answers();
  }

  /** `helm test`. Resolves to what its pod said, rejects when it failed. */
  test(): Promise<string> {
    return this.#helm('test', 'larder', '--logs', '--timeout', '180s');
  }

  /** Replaces every pod, and resolves when the new ones are ready and the old ones are gone. */
  async restart(): Promise<void> {
    const old = await this.pods();
    await this.#kubectl('rollout', 'restart', 'deployment/larder');
    await this.#kubectl('rollout', 'status', 'deployment/larder', '--timeout=300s');
    const gone = async () => (await this.pods()).every((pod) => !old.includes(pod));
    await eventually('the old pods are gone', gone, 120_000);
  }

  /** Names of Larder's own pods. */
  async pods(): Promise<string[]> {
    const path = 'jsonpath={.items[*].metadata.name}';
    const names = await this.#kubectl('get', 'pods', '--selector', SERVER, '--output', path);
    return names.split(' ').filter((name) => name !== '');
  }

  /** What all of Larder's pods have logged, or what one logs from now until its end. */
  async log(pod?: string): Promise<LogLine[]> {
    const which = pod === undefined ? ['--selector', SERVER, '--tail=-1'] : [pod, '--follow'];
    const lines = (await this.#kubectl('logs', ...which)).split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
  }

  /** `helm uninstall`, until no pod is left. */
  async uninstall(): Promise<void> {
    await this.#helm('uninstall', 'larder', '--wait', '--timeout', '300s');
    const pods = () => this.#kubectl('get', 'pods', '--output', 'name');
    await eventually('no pod is left', async () => (await pods()).trim() === '', 120_000);
  }

  /** What the namespace has beside what it had before, such as `persistentvolumeclaim/data-larder-0`, ascending. */
  async left(): Promise<string[]> {
    return (await this.#objects()).filter((name) => !this.#before.has(name));
  }

  async #install(verb: 'install' | 'upgrade'): Promise<string> {
    const own = join(tempDir(), 'values.json');
    writeFileSync(own, JSON.stringify(this.#values));
    const files = [...this.#files, own].flatMap((file) => ['--values', file]);
    try {
      return await this.#helm(verb, 'larder', chartDir, ...files, '--wait', '--timeout', '240s');
    } catch (cause) {
      const states = await this.#kubectl('get', 'pods,pvc', '--output', 'wide');
      const events = await this.#kubectl('events', '--types=Warning');
      const logs = await this.#kubectl('logs', '--selector', SERVER, '--tail=20').catch(String);
      const names = this.#files.map((file) => basename(file)).join(' ');
      throw new Error(`helm ${verb} ${names} failed:\n${states}${events}${logs}`, { cause });
    }
  }

  /** The node learns where a Service leads to a moment after its pods are ready. */
  async #answers(): Promise<void> {
    if ((await this.pods()).length === 0) return;
    const answered = async () => (await request(this.base, '/healthz')).status === 200;
    await eventually('the Service leads to a pod', answered);
  }

  /** What every namespace gets by itself is there. */
  async #settled(): Promise<void> {
    for (const own of ['serviceaccount/default', 'configmap/kube-root-ca.crt'])
      await eventually(own, () => this.#kubectl('get', own, '--output', 'name'));
  }

  /** Of the namespace, as `kind/name`, ascending; what is only about others is not among them. */
  async #objects(): Promise<string[]> {
    const about = /^(events|bindings|localsubjectaccessreviews)\b/;
    const kinds = (
      await this.#kubectl('api-resources', '--namespaced', '--verbs=list', '--output=name')
    )
      .split('\n')
      .filter((kind) => kind !== '' && !about.test(kind));
    const found = await this.#kubectl(
      ...['get', kinds.join(','), '--output=name', '--ignore-not-found'],
    );
    return found
      .split('\n')
      .filter((name) => name !== '')
      .sort();
  }

  /** The name of the Service becomes its address, by the command of the notes: nothing looks up names of the cluster here. */
  async #byAddress(text: string): Promise<string> {
    const command = /kubectl .* get service .*clusterIP\}'$/m.exec(this.notes)?.[0];
    if (command === undefined) throw new Error(`The notes name no Service:\n${this.notes}`);
    const address = await this.#node.beside('sh', '-c', command);
    return text.replace(`larder.${this.#namespace}.svc`, address);
  }

  #kubectl(...args: string[]): Promise<string> {
    return this.#node.kubectl('--namespace', this.#namespace, ...args);
  }

  #helm(...args: string[]): Promise<string> {
    const helm = join(tools, 'bin/helm');
    return this.#node.beside(helm, '--namespace', this.#namespace, ...args);
  }
}
