import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answers } from '../engine/answers.ts';
import type { Freshness } from '../engine/freshness.ts';
import type { Decision } from '../engine/policy.ts';
import type { Clock, Store } from '../engine/ports.ts';
import type { Ask, PullThrough } from '../engine/pull-through.ts';
import type { RequestContext } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import type { ClientSignal } from '../http/serve.ts';
import type { OciContentParts } from './content.ts';
import type { OciName } from './names.ts';
import type { OciPolicy, OciRule } from './rules.ts';
import type { OciUpstreams, Repository } from './upstreams.ts';

export interface OciParts {
  readonly pull: PullThrough;
  readonly store: Pick<Store, 'list'>;
  readonly answers: Pick<Answers, 'read'>;
  readonly content: OciContentParts;
  readonly upstreams: OciUpstreams;
  readonly freshness: Freshness;
  readonly policy: OciPolicy;
  readonly clock: Clock;
  /** Why nothing is ever fetched, in the words for a client, where that is so. */
  readonly offline: string | undefined;
  /** What clients are told of a registry that is asked too often. */
  readonly rateStatus: 429 | 503;
  /** Name of this server in `Via`. */
  readonly via: string;
  /** Told of what should not have happened. */
  readonly onMistake: OnMistake;
}

/** One request on its way through. */
export interface OciExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly context: RequestContext;
  readonly client: ClientSignal;
  readonly ask: Ask;
  readonly name: OciName;
  readonly repository: Repository;
  readonly decision: Decision<OciRule>;
  readonly query: URLSearchParams;
  readonly head: boolean;
}
