import { isoTime } from '../image/oci.ts';

/** Something that went into the build, by the digest it was checked with: `sha256` and the like, hex. */
export interface Ingredient {
  readonly name: string;
  /** A package URL. */
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
}

export interface Built {
  /** The script of package.json that was run. */
  readonly script: 'package' | 'image';
  readonly version: string;
  /** SHA-256 of each file that came out, hex, by its name. */
  readonly files: ReadonlyMap<string, string>;
  /** The commit, with `-modified` behind it when files differed from it; undefined outside of a repository. */
  readonly revision: string | undefined;
  /** SHA-256 of package-lock.json, hex. */
  readonly lockfile: string;
  /** Bun for each architecture, whose runtime is inside of what came out. */
  readonly runtimes: readonly {
    readonly name: string;
    readonly version: string;
    /** SHA-512 as npm has it, base64. */
    readonly integrity: string;
  }[];
  /** What else is inside of it. */
  readonly ingredients?: readonly Ingredient[];
  readonly architectures: readonly string[];
  readonly command: string;
  /** Seconds since 1970. */
  readonly time: number;
}

/**
 * What something was built from: an in-toto Statement v1 with the predicate SLSA Provenance v1, unsigned. The build is reproducible:
 * with the same inputs the command gives the same digests, and that is what can be checked of it. It names no machine and no
 * moment, for the same reason.
 */
export function provenance(built: Built): string {
  const { script, version, files, revision, lockfile, runtimes, architectures, command, time } = built;
  const modified = revision?.endsWith('-modified') === true;
  const commit = revision?.replace('-modified', '');
  const dependencies = [
    ...(commit === undefined ? [] : [{ name: 'source', digest: { gitCommit: commit } }]),
    { name: 'package-lock.json', digest: { sha256: lockfile } },
    ...runtimes.map((one) => ({
      name: one.name,
      uri: `pkg:npm/${one.name.replace('@', '%40')}@${one.version}`,
      digest: { sha512: Buffer.from(one.integrity.replace(/^sha512-/, ''), 'base64').toString('hex') },
    })),
    ...(built.ingredients ?? []),
  ];
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [...files].map(([name, sha256]) => ({ name, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        // The type of a build is named by whoever defines it; this one is defined in the sources themselves.
        buildType: `tag:flannel.invalid,2026:npm-run-${script}/v1`,
        externalParameters: { command, version, architectures },
        internalParameters: { bun: runtimes[0]?.version, SOURCE_DATE_EPOCH: time, modified },
        resolvedDependencies: dependencies,
      },
      runDetails: {
        builder: { id: 'tag:flannel.invalid,2026:anybody' },
        metadata: { finishedOn: isoTime(time) },
      },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}
