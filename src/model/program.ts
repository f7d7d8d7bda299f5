// The programs that write rules and sets, each by the shapes that it alone leaves: chain names, comments, targets, sets, tables of its own.

/** Who makes rules, sets and routes. What kubelet and kube-proxy both make, in one shape, is either's. */
export type Maker =
  | 'kube-proxy'
  | 'kubelet'
  | 'kubelet or kube-proxy'
  | 'kube-router'
  | 'Calico'
  | 'Cilium'
  | 'flannel'
  | 'CNI'
  | 'Docker'
  | 'firewalld'
  | 'ufw'
  | 'fail2ban'
  | 'libvirt'
  | 'kernel'
  | 'administrator'
  | 'DHCP client'
  | 'router advertisement'
  | 'keepalived'
  | 'BIRD'
  | 'zebra'
  | 'BGP'
  | 'OSPF'
  | 'IS-IS'
  | 'RIP'
  | 'EIGRP'
  | 'Babel';

/** What a rule says of itself, as the shapes are held against it. */
export interface Saying {
  readonly chain: string;
  /** Without `-A CHAIN`. */
  readonly text: string;
  readonly comment?: string;
  /** Chains that it leads to. */
  readonly targets: readonly string[];
  /** Sets that it asks. */
  readonly sets: readonly string[];
}

/** One program's shapes. */
export interface Program {
  readonly by: Maker;
  /** Tables that nft alone knows and the program writes as a whole. */
  readonly table?: RegExp;
  readonly chain?: RegExp;
  /** Chains of others that its own lead to, and no more is said by that. */
  readonly lent?: RegExp;
  readonly set?: RegExp;
  /** A comment that says it wherever the rule stands. */
  readonly comment?: RegExp;
  /** A rule that says it wherever it stands. */
  readonly rule?: RegExp;
  /** Rules that say it where they stand in a chain of the program: anybody may have put others there. */
  readonly own?: readonly (readonly [chain: RegExp, rule: RegExp])[];
  /** A rule in its own table that says nothing of itself, as somebody else may have put it there. */
  readonly mute?: (s: Saying) => boolean;
  /** Which of its things the rule, chain or set serves. */
  readonly of?: (s: Saying) => string | undefined;
}

/** A chain of kube-proxy that serves one Service or one endpoint: the prefix and 16 characters of base32. */
const KUBE_HASHED = /^KUBE-(SVC|SVL|SEP|FW|XLB|EXT)-[A-Z0-9]{16}$/;
const KUBE_CHAIN =
  /^KUBE-((SVC|SVL|SEP|FW|XLB|EXT)-[A-Z0-9]{16}|SERVICES|EXTERNAL-SERVICES|NODEPORTS|NODE-PORT|FORWARD|LOAD-BALANCER|PROXY-CANARY|PROXY-FIREWALL|SOURCE-RANGES-FIREWALL|IPVS-FILTER|IPVS-OUT-FILTER)$/;
/** Until Kubernetes 1.28 both made these, and KUBE-FIREWALL they still do (KEP-3178). */
const KUBE_SHARED = /^KUBE-(MARK-MASQ|MARK-DROP|POSTROUTING|FIREWALL)$/;
/** Sets of the IPVS mode. */
const KUBE_SETS: Readonly<Record<string, string>> = {
  'LOOP-BACK': 'hairpin endpoints',
  'CLUSTER-IP': 'cluster IPs',
  'EXTERNAL-IP': 'external IPs',
  'EXTERNAL-IP-LOCAL': 'external IPs',
  'LOAD-BALANCER': 'load balancer IPs',
  'LOAD-BALANCER-FW': 'load balancer source ranges',
  'LOAD-BALANCER-LOCAL': 'load balancer IPs',
  'LOAD-BALANCER-SOURCE-IP': 'load balancer source ranges',
  'LOAD-BALANCER-SOURCE-CIDR': 'load balancer source ranges',
  'NODE-PORT-TCP': 'node ports',
  'NODE-PORT-LOCAL-TCP': 'node ports',
  'NODE-PORT-UDP': 'node ports',
  'NODE-PORT-LOCAL-UDP': 'node ports',
  'NODE-PORT-SCTP-HASH': 'node ports',
  'NODE-PORT-LOCAL-SCTP-HASH': 'node ports',
  'HEALTH-CHECK-NODE-PORT': 'health check ports',
  'IPVS-IPS': 'addresses of kube-ipvs0',
};
/** `default/web:http`, at the end of a comment or before what kube-proxy says of it. */
const SERVICE =
  /(?:^| for )([a-z0-9-]+\/[a-z0-9.-]+(?::[a-z0-9-]*)?)(?= -> |$| (?:cluster IP|loadbalancer IP|load balancer IP|external IP|LB IP|nodePort|has no |traffic not accepted|external destinations))/;
/** Chains and sets of nft mode: `service-GBEZ6T4J-default/web/tcp/http`, `endpoint-..__10.244.1.5/8080`. */
const KUBE_NAMED = /^(?:service|external|local|firewall|endpoint|affinity)-[A-Z0-9]{8}-([^/]+)\/([^/]+)\/(?:tcp|udp|sctp)\/([^/_]*)/;

function kubeService({ chain, comment = '', targets, sets }: Saying): string | undefined {
  const said = SERVICE.exec(comment)?.[1]?.replace(/:$/, '');
  if (said !== undefined) return `Service ${said}`;
  for (const name of [chain, ...targets, ...sets]) {
    const named = KUBE_NAMED.exec(name);
    if (named) return `Service ${named[1]}/${named[2]}${named[3] === '' ? '' : `:${named[3]}`}`;
    const set = KUBE_SETS[name.replace(/^KUBE-(6-)?/, '')];
    if (set !== undefined && name.startsWith('KUBE-')) return set;
  }
  return undefined;
}

/** Felix's names of chains and sets; in its own nft table the name of the iptables table stands before that of a chain. */
function calicoThing({ chain, text, comment = '', targets, sets }: Saying): string | undefined {
  const told = /\b(Policy|Profile) (\S+?)(?:"| (?:in|e)gress\b|$)/.exec(`${text} ${comment}`);
  if (told) return `${told[1] === 'Policy' ? 'policy' : 'profile'} ${told[2]}`;
  for (const name of [...targets, chain].map((n) => n.replace(/^(?:raw|mangle|nat|filter)-/, ''))) {
    const workload = /^cali-[tf]w-(cali\w+)$/.exec(name);
    if (workload) return `endpoint ${workload[1]}`;
    // a name that begins with _ is the hash of one that was too long
    const rules = /^cali-(p|pr)[io]-([^_].*)$/.exec(name);
    if (rules) return `${rules[1] === 'p' ? 'policy' : 'profile'} ${rules[2]}`;
    if (/^cali-fip-[ds]nat$/.test(name)) return 'floating IPs';
  }
  for (const name of sets) {
    if (/^cali[46]0(all|masq)-ipam-pools$/.test(name)) return 'IP pools';
    if (/^cali[46]0(all-hosts-net|all-vxlan-net)$/.test(name)) return 'hosts of the cluster';
    if (/^cali[46]0this-host$/.test(name)) return 'this host';
    if (/^cali[46]0s:|^cali[46]0s-/.test(name)) return 'a selector of policies';
  }
  return undefined;
}

/** Docker calls the bridge of a network by the first 12 digits of its id. */
const BRIDGE = 'docker0|docker_gwbridge|br-[0-9a-f]{12}';

function dockerBridge({ chain, text }: Saying): string | undefined {
  const bridge = new RegExp(`(?:__|[ "])(${BRIDGE})(?=["\\s,]|$)`).exec(`${chain} ${text}`);
  return bridge ? `bridge ${bridge[1]}` : undefined;
}

/** firewalld makes a family of chains of each zone and policy: `filter_IN_public_allow`, with iptables `IN_public_allow`. */
const ZONE = /^(?:(?:filter|nat|mangle|raw)_)?(?:IN|OUT|FWD|FWDI|FWDO|PRE|POST)_(policy_)?(.+?)(?:_(?:pre|log|deny|allow|post))?$/;

function firewalldZone({ chain, targets }: Saying): string | undefined {
  for (const name of [chain, ...targets]) {
    const zone = /_(ZONES|POLICIES)/.test(name) ? null : ZONE.exec(name);
    if (zone) return `${zone[1] === undefined ? 'zone' : 'policy'} ${zone[2]}`;
  }
  return undefined;
}

function jail({ chain, targets, sets }: Saying): string | undefined {
  const name = [...sets, ...targets, chain].find((n) => /^(f2b-(?!chain$)|addr6?-set-)./.test(n));
  return name?.replace(/^(f2b-|addr6?-set-)/, '');
}

/** Where several fit, the first counts. */
export const PROGRAMS: readonly Program[] = [
  {
    by: 'kube-proxy',
    table: /^ip6? kube-proxy$/,
    chain: KUBE_CHAIN,
    lent: KUBE_SHARED,
    set: new RegExp(`^KUBE-(6-)?(${Object.keys(KUBE_SETS).join('|')})$`),
    own: [
      [KUBE_HASHED, /--comment "?(?:[A-Za-z ]+ for )?[a-z0-9-]+\/[a-z0-9.-]+/],
      [/^KUBE-SEP-/, /-j DNAT |\bdnat to /],
      [/^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|PROXY-FIREWALL)$/, /--comment "?[a-z0-9-]+\/[a-z0-9.:-]+( |$)/],
      [KUBE_CHAIN, /--comment "[Kk]ubernetes /],
      [/^KUBE-FORWARD$/, /^-m conntrack --ctstate INVALID -j DROP$|^ct state invalid .*drop$/],
      [/^KUBE-SERVICES$/, /^-s 127\.0\.0\.0\/8 -j RETURN$/],
      [/^KUBE-SOURCE-RANGES-FIREWALL$/, /^-j DROP$/],
    ],
    mute: (s) => /^(ip6? [sd]addr \S+ )?(counter packets \d+ bytes \d+ )?(accept|drop)$/.test(s.text) && !KUBE_NAMED.test(s.chain),
    of: kubeService,
  },
  {
    by: 'kubelet or kube-proxy',
    chain: KUBE_SHARED,
    own: [
      [/^KUBE-MARK-(MASQ|DROP)$/, /^-j MARK |\bmeta mark set mark or /],
      [
        /^KUBE-POSTROUTING$/,
        /^-m mark ! --mark \S+ -j RETURN$|^-j MARK --(set-xmark|xor-mark) |^meta mark & \S+ != .*return$|\bmeta mark set mark xor |--comment "(kubernetes service traffic requiring SNAT|Kubernetes endpoints )/,
      ],
      [/^KUBE-FIREWALL$/, /--comment "(kubernetes firewall for dropping marked packets|block incoming localnet connections)"/],
    ],
  },
  {
    by: 'kubelet',
    chain: /^KUBE-(KUBELET-CANARY|IPTABLES-HINT)$/,
    comment: /^kubenet: /,
    of: ({ comment = '' }) => (comment.startsWith('kubenet: ') ? 'kubenet' : undefined),
  },
  {
    by: 'kube-router',
    chain: /^KUBE-(ROUTER-(INPUT|OUTPUT|FORWARD|SERVICES)|(POD-FW|NWPLCY)-[A-Z0-9]{16})$/,
    comment: /^kube-router netpol |^KUBE-ROUTER rule /,
  },
  {
    by: 'Calico',
    table: /^ip6? calico$/,
    chain: /^cali-/,
    set: /^cali[46][0t]/,
    // every rule that Felix writes has its hash; it takes others out of its chains
    comment: /^cali:[\w-]{16}$/,
    of: calicoThing,
  },
  { by: 'Cilium', chain: /^(OLD_)?CILIUM_/, comment: /^cilium(-feeder)?: / },
  { by: 'flannel', table: /^ip6? flannel-ipv[46]$/, chain: /^FLANNEL-(POSTRTG|FWD)$/, comment: /^flanneld (masq|forward)$/ },
  {
    by: 'CNI',
    chain: /^CNI-(HOSTPORT-(DNAT|SETMARK|MASQ)|DN-[0-9a-f]{21}|SN-[0-9a-f]{21}|[0-9a-f]{24}|FORWARD|ADMIN)$/,
    comment: /^CNI portfwd |^CNI firewall plugin |^(dnat )?name: \\?".*id: \\?"/,
    own: [
      [/^CNI-DN-/, /-j DNAT /],
      [/^CNI-HOSTPORT-MASQ$/, /^-m mark --mark \S+ -j MASQUERADE$/],
    ],
    of: ({ chain, targets, comment = '' }) =>
      [chain, ...targets].some((n) => /^CNI-(HOSTPORT|DN|SN)-/.test(n)) || comment.startsWith('CNI portfwd') ? 'portmap' : undefined,
  },
  {
    by: 'Docker',
    table: /^ip6? docker-bridges$/,
    chain: /^DOCKER(-USER|-ISOLATION(-STAGE-[12])?|-INGRESS|-FORWARD|-CT|-BRIDGE|-INTERNAL|_OUTPUT|_POSTROUTING)?$/,
    rule: new RegExp(
      `^(-o (${BRIDGE}) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT|-i (${BRIDGE}) (! )?-o \\3 -j (ACCEPT|DROP)|-s \\S+ ! -o (${BRIDGE}) -j MASQUERADE|-o (${BRIDGE}) -m addrtype --src-type LOCAL -j MASQUERADE)$`,
    ),
    own: [
      [/^DOCKER$/, /-j DNAT |\bdnat to /],
      // DOCKER-USER is there for rules of others: its last one alone is Docker's
      [/^DOCKER-(USER|ISOLATION-STAGE-[12]|INGRESS)$/, /^-j RETURN$/],
      [
        /^DOCKER(-ISOLATION.*|-FORWARD|-CT|-BRIDGE|-INTERNAL)?$/,
        new RegExp(`(^| )-[io] (${BRIDGE}) .*-j (ACCEPT|DROP|RETURN)$|^-[io] (${BRIDGE}) -j (ACCEPT|DROP|RETURN)$`),
      ],
    ],
    of: dockerBridge,
  },
  {
    by: 'firewalld',
    table: /^(inet|ip|ip6) firewalld$/,
    chain:
      /^((INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING)_(direct|(IN_|OUT_)?ZONES(_SOURCE)?|POLICIES_(pre|post))|FORWARD_(IN|OUT)_ZONES(_SOURCE)?|FWD[IO]_.+|(IN|PRE|POST)_.+_(pre|log|deny|allow|post)|(IN|PRE|POST)_(block|dmz|drop|external|home|internal|public|trusted|work))$/,
    own: [[/^(IN|FWD[IO]|PRE|POST)_/, /-j (ACCEPT|DROP|REJECT|LOG|MARK|DNAT|MASQUERADE)\b/]],
    of: firewalldZone,
  },
  {
    by: 'ufw',
    chain: /^ufw6?-/,
    own: [[/^ufw6?-/, /-j (ACCEPT|DROP|REJECT|RETURN|LOG)\b/]],
  },
  {
    by: 'fail2ban',
    table: /^inet f2b-table$/,
    chain: /^f2b-/,
    set: /^f2b-/,
    own: [[/^f2b-/, /^-s \S+ -j (REJECT|DROP)\b|^-j RETURN$/]],
    of: jail,
  },
  {
    by: 'libvirt',
    table: /^ip6? libvirt_network$/,
    chain: /^LIBVIRT_(INP|OUT|FWI|FWO|FWX|PRT)$/,
    own: [
      [/^LIBVIRT_/, /(^| )-[io] virbr\d+ .*-j (ACCEPT|REJECT|CHECKSUM)\b/],
      [/^LIBVIRT_PRT$/, /^-s \S+ -d (224\.0\.0\.0\/24|255\.255\.255\.255\/32) -j RETURN$|--to-ports 1024-65535$/],
    ],
    of: ({ text }) => / ?\b(virbr\d+)\b/.exec(text)?.[1]?.replace(/^/, 'bridge '),
  },
];
