using Dbt.Translator;
using Iced.Intel;

namespace Dbt.Xen.Processor;

/// <summary>
/// The names of CPUID's fields (xl.cfg(5), cpuid), which of the features this processor has, and which of them need others.
/// </summary>
public static class CpuidFeatures
{
    // "name:bit" or "name:bit:length", by leaf and register. Names are xl's; older and newer spellings side by side.
    private static readonly (uint Leaf, uint? Subleaf, CpuidRegister Register, string Fields)[] Names =
    [
        (0, null, CpuidRegister.Eax, "maxleaf:0:32"),
        (1, null, CpuidRegister.Eax, "stepping:0:4 model:4:8 family:8:8"),
        (1, null, CpuidRegister.Ebx, "brandid:0:8 clflush:8:8 proccount:16:8 localapicid:24:8"),
        (1, null, CpuidRegister.Ecx,
            "sse3:0 pclmulqdq:1 dtes64:2 monitor:3 dscpl:4 vmx:5 smx:6 est:7 tm2:8 ssse3:9 cntxid:10 fma:12 cmpxchg16:13 cx16:13 xtpr:14 pdcm:15 "
            + "pcid:17 dca:18 sse4_1:19 sse4.1:19 sse4_2:20 sse4.2:20 x2apic:21 movbe:22 popcnt:23 tsc-deadline:24 aes:25 aesni:25 xsave:26 osxsave:27 "
            + "avx:28 f16c:29 rdrand:30 hypervisor:31"),
        (1, null, CpuidRegister.Edx,
            "fpu:0 vme:1 de:2 pse:3 tsc:4 msr:5 pae:6 mce:7 cmpxchg8:8 cx8:8 apic:9 sysenter:11 sep:11 mtrr:12 pge:13 mca:14 cmov:15 pat:16 pse36:17 "
            + "psn:18 clfsh:19 ds:21 acpi:22 mmx:23 fxsr:24 sse:25 sse2:26 ss:27 htt:28 tm:29 ia64:30 pbe:31"),
        (4, 0, CpuidRegister.Eax, "procpkg:26:6"),
        (6, null, CpuidRegister.Eax, "arat:2"),
        (7, 0, CpuidRegister.Ebx,
            "fsgsbase:0 tsc_adjust:1 bmi1:3 hle:4 avx2:5 smep:7 bmi2:8 erms:9 invpcid:10 rtm:11 cmt:12 mpx:14 avx512f:16 avx512dq:17 rdseed:18 adx:19 "
            + "smap:20 avx512-ifma:21 clflushopt:23 clwb:24 proc-trace:25 avx512pf:26 avx512er:27 avx512cd:28 sha:29 avx512bw:30 avx512vl:31"),
        (7, 0, CpuidRegister.Ecx,
            "prefetchwt1:0 avx512-vbmi:1 umip:2 pku:3 ospke:4 avx512-vbmi2:6 cet-ss:7 gfni:8 vaes:9 vpclmulqdq:10 avx512-vnni:11 avx512-bitalg:12 "
            + "avx512-vpopcntdq:14 rdpid:22 cldemote:25 pks:31"),
        (7, 0, CpuidRegister.Edx,
            "avx512-4vnniw:2 avx512-4fmaps:3 fsrm:4 avx512-vp2intersect:8 srbds-ctrl:9 md-clear:10 serialize:14 tsxldtrk:16 cet-ibt:20 avx512-fp16:23 "
            + "ibrsb:26 stibp:27 l1d-flush:28 arch-caps:29 core-caps:30 ssbd:31"),
        (7, 1, CpuidRegister.Eax, "avx-vnni:4 avx512-bf16:5 fzrm:10 fsrs:11 fsrcs:12 wrmsrns:19"),
        (0xD, 1, CpuidRegister.Eax, "xsaveopt:0 xsavec:1 xgetbv1:2 xsaves:3"),
        (0x80000001, null, CpuidRegister.Ecx,
            "lahfsahf:0 lahf-lm:0 cmplegacy:1 svm:2 extapic:3 altmovcr8:4 abm:5 lzcnt:5 sse4a:6 misalignsse:7 3dnowprefetch:8 osvw:9 ibs:10 xop:11 "
            + "skinit:12 wdt:13 lwp:15 fma4:16 nodeid:19 tbm:21 topoext:22 perfctr_core:23 perfctr_nb:24"),
        (0x80000001, null, CpuidRegister.Edx, "syscall:11 nx:20 mmxext:22 ffxsr:25 page1gb:26 rdtscp:27 lm:29 3dnowext:30 3dnow:31"),
        (0x80000007, null, CpuidRegister.Edx, "invtsc:8"),
        (0x80000008, null, CpuidRegister.Ebx,
            "clzero:0 rstr-fp-err-ptrs:2 wbnoinvd:9 ibpb:12 ibrs:14 amd-stibp:15 ibrs-always:16 stibp-always:17 ibrs-fast:18 ibrs-same-mode:19 no-lmsl:20 "
            + "ppin:23 amd-ssbd:24 virt-ssbd:25 ssb-no:26 psfd:28 btc-no:29 ibpb-ret:30"),
        (0x80000008, null, CpuidRegister.Ecx, "nc:0:8 apicidsize:12:4"),
    ];

    // A feature is there where all its instructions are: these stand for them. PV guests have no others, whatever the processor can do.
    private static readonly (string Name, Mnemonic[] Needs)[] Instructions =
    [
        ("fpu", [Mnemonic.Fadd, Mnemonic.Fsincos]), ("tsc", [Mnemonic.Rdtsc]), ("cx8", [Mnemonic.Cmpxchg8b]), ("cmov", [Mnemonic.Cmove, Mnemonic.Fcmove]),
        ("clfsh", [Mnemonic.Clflush]), ("mmx", [Mnemonic.Paddb, Mnemonic.Emms]), ("fxsr", [Mnemonic.Fxsave, Mnemonic.Fxrstor]),
        ("sse", [Mnemonic.Addps, Mnemonic.Ldmxcsr]), ("sse2", [Mnemonic.Addpd, Mnemonic.Maskmovdqu]), ("sse3", [Mnemonic.Haddps, Mnemonic.Fisttp]),
        ("pclmulqdq", [Mnemonic.Pclmulqdq]), ("ssse3", [Mnemonic.Pshufb]), ("sse4_1", [Mnemonic.Pmulld, Mnemonic.Dpps]),
        ("sse4_2", [Mnemonic.Pcmpistri, Mnemonic.Crc32]), ("movbe", [Mnemonic.Movbe]), ("popcnt", [Mnemonic.Popcnt]),
        ("aes", [Mnemonic.Aesenc, Mnemonic.Aeskeygenassist]), ("rdrand", [Mnemonic.Rdrand]), ("rdseed", [Mnemonic.Rdseed]),
        ("bmi1", [Mnemonic.Andn, Mnemonic.Tzcnt]), ("bmi2", [Mnemonic.Pdep, Mnemonic.Mulx]), ("adx", [Mnemonic.Adcx, Mnemonic.Adox]),
        ("clflushopt", [Mnemonic.Clflushopt]), ("clwb", [Mnemonic.Clwb]), ("lzcnt", [Mnemonic.Lzcnt]), ("lahf-lm", [Mnemonic.Lahf]),
        ("3dnowprefetch", [Mnemonic.Prefetchw]), ("rdtscp", [Mnemonic.Rdtscp]), ("rdpid", [Mnemonic.Rdpid]), ("xsave", [Mnemonic.Xsave, Mnemonic.Xgetbv]),
        ("avx", [Mnemonic.Vaddps]), ("avx2", [Mnemonic.Vpermd]), ("f16c", [Mnemonic.Vcvtph2ps]), ("fma", [Mnemonic.Vfmadd231ps]), ("sha", [Mnemonic.Sha256rnds2]),
    ];

    // Features of the machine, which no instruction stands for: what Xen gives a PV guest and this one does.
    private static readonly string[] Others = ["de", "msr", "pae", "mce", "mca", "pat", "hypervisor", "erms", "nx", "invtsc"];

    // Name, and what it can't be without.
    private static readonly (string Name, string Needs)[] Dependencies =
    [
        ("mmx", "fpu"), ("sse", "fxsr"), ("sse2", "sse"), ("sse3", "sse2"), ("pclmulqdq", "sse2"), ("aes", "sse2"), ("sha", "sse2"), ("ssse3", "sse3"),
        ("sse4_1", "ssse3"), ("sse4_2", "sse4_1"), ("nx", "pae"), ("invtsc", "tsc"), ("rdtscp", "tsc"), ("avx", "xsave"), ("f16c", "avx"), ("fma", "avx"), ("avx2", "avx"),
    ];

    private static readonly Dictionary<string, CpuidFeature> ByName = MakeNames();

    /// <summary>All names that a configuration may use.</summary>
    public static IEnumerable<CpuidFeature> All => ByName.Values;

    /// <summary>The features that this processor has and a PV guest may see.</summary>
    internal static IReadOnlyList<CpuidFeature> Offered { get; } =
    [
        .. Instructions.Where(feature => feature.Needs.All(InstructionSet.Implements)).Select(feature => ByName[feature.Name]),
        .. Others.Select(name => ByName[name]),
    ];

    /// <summary>What hides each other: the first can't be without the second. What others need comes first.</summary>
    internal static IReadOnlyList<(CpuidFeature Feature, CpuidFeature Needs)> Needs { get; } =
        [.. Dependencies.Select(pair => (ByName[pair.Name], ByName[pair.Needs]))];

    /// <summary>Looks a name up.</summary>
    public static bool TryFind(string name, out CpuidFeature feature) => ByName.TryGetValue(name, out feature);

    private static Dictionary<string, CpuidFeature> MakeNames()
    {
        var result = new Dictionary<string, CpuidFeature>(StringComparer.Ordinal);
        foreach ((uint leaf, uint? subleaf, CpuidRegister register, string fields) in Names)
        {
            foreach (string field in fields.Split(' '))
            {
                string[] parts = field.Split(':');
                int length = parts.Length > 2 ? int.Parse(parts[2], System.Globalization.CultureInfo.InvariantCulture) : 1;
                int bit = int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture);
                result.Add(parts[0], new CpuidFeature(parts[0], leaf, subleaf, register, bit, length));
            }
        }

        return result;
    }
}
