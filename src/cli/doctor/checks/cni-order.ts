import { basename, dirname } from 'node:path';
import { error, ok, type Check } from '../finding.ts';

export const cniOrder: Check = {
  id: 'cni-order',
  title: "the runtime takes Flannel's configuration, not another one",
  run(facts) {
    const files = facts.conflists();
    const ours = files.find(({ isFlannel }) => isFlannel);
    const [first] = files;
    if (first === undefined || ours === undefined || first === ours)
      return [ok(ours === undefined ? 'there is none of Flannel yet' : `${basename(ours.path)} comes first`)];
    return [
      error({
        what: `${basename(first.path)} sorts before ${basename(ours.path)} in ${dirname(first.path)}`,
        why: 'the container runtime takes the first file by name: pods do not get the network of Flannel',
        cure: `rm ${first.path} (and remove the program that wrote it)`,
      }),
    ];
  },
};
