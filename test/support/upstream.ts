// A mock GOPROXY on loopback: modules as data, with an exact log and faults by path.

import { passOn, text, type Answer } from './answers.ts';
import { FaultServer } from './fault-server.ts';
import { Catalogue, moduleVersion, type ModuleVersion, type VersionOptions } from './modules.ts';

/** Starts one; it ends with the test or file. */
export const startUpstream = (): Promise<Upstream> => new Upstream().up();

export class Upstream extends FaultServer {
  readonly #catalogue = new Catalogue();
  readonly #databases = new Map<string, string>();
  /** A server of its own, so that it is in no log and meets no fault. */
  readonly #sums = new FaultServer(({ path }) => this.#sumsOf(path));

  constructor() {
    super(({ path }, signal) => this.#answer(path, signal));
  }

  override async up(): Promise<this> {
    await this.#sums.up();
    return super.up();
  }

  override async down(): Promise<void> {
    await this.#sums.down();
    await super.down();
  }

  /** Where a checksum database asks for go.sum lines; `{module}` and `{version}` stand for these. */
  get sumsTemplate(): string {
    return `${this.#sums.url}/{module}@{version}`;
  }

  /** Makes a version and serves it. */
  add(module: string, version: string, options?: VersionOptions): ModuleVersion {
    const added = moduleVersion(module, version, options);
    this.#catalogue.add(added);
    return added;
  }

  remove(module: string, version: string): void {
    this.#catalogue.remove(module, version);
  }

  /** Lets a branch, tag or commit resolve to a version. */
  name(module: string, revision: string, version: string): void {
    this.#catalogue.name(module, revision, version);
  }

  /** Serves `/sumdb/<name>/…` from the database at that URL. */
  passSumdb(name: string, url: string): void {
    this.#databases.set(name, url);
  }

  #sumsOf(path: string): Answer {
    const [, module = '', version = ''] = /^\/(.+)@([^@]+)$/.exec(path) ?? [];
    const sums = this.#catalogue.find(module, version)?.sums;
    return sums === undefined ? text(404, `no ${module}@${version} here\n`) : text(200, sums);
  }

  #answer(path: string, signal: AbortSignal): Answer | Promise<Answer> {
    const [, name = '', rest = ''] = /^\/sumdb\/([^/]+)(\/.*)$/.exec(path) ?? [];
    const database = this.#databases.get(name);
    if (database !== undefined) return passOn(database + rest, signal);
    const answer = this.#catalogue.answer(path);
    if (answer === undefined) return text(404, `not found: this mock upstream has no ${path}\n`);
    const { contentType, body, isFile } = answer;
    return { status: 200, headers: { 'content-type': contentType }, body, isFile };
  }
}
