using Iced.Intel;

namespace Dbt.Tests.Translator.Isa;

/// <summary>Why instructions of a CPUID feature are not there: "not yet", or "never".</summary>
internal static class MissingFeatures
{
    private const string NeedsAvx = "needs the 256-bit registers, that is XSAVE and XCR0; hidden by CPUID";
    private const string NeedsAvx512 = "needs AVX first; hidden by CPUID";
    private const string NoGuestAsks = "hidden by CPUID; no guest seen so far depends on it";
    private const string Nested = "a guest has no hardware virtualisation; hidden by CPUID";
    private const string Gone = "found in no processor that is still made; software asks CPUID first";
    private const string Vendor = "of one vendor's processors, which are not what CPUID says this one is";
    private const string Secret = "needs keys and enclaves that only hardware can keep";

    // The first that a feature's name begins with counts.
    private static readonly (string Prefix, bool Never, string Reason)[] Reasons =
    [
        ("AVX512", false, NeedsAvx512),
        ("AVX10", false, NeedsAvx512),
        ("AVX", false, NeedsAvx),
        ("FMA4", true, Gone),
        ("FMA", false, NeedsAvx),
        ("F16C", false, NeedsAvx),
        ("VAES", false, NeedsAvx),
        ("VPCLMULQDQ", false, NeedsAvx),
        ("XSAVE", false, "comes with AVX: there is no state beyond FXSAVE's; hidden by CPUID"),
        ("SHA", false, NoGuestAsks),
        ("GFNI", false, NoGuestAsks),
        ("SSE4A", false, NoGuestAsks),
        ("ADX", false, NoGuestAsks),
        ("MOVDIR", false, NoGuestAsks),
        ("SERIALIZE", false, NoGuestAsks),
        ("CLZERO", false, NoGuestAsks),
        ("MONITOR", false, "HLT and the hypervisor's SCHEDOP_block idle; hidden by CPUID"),
        ("WAITPKG", false, "HLT and the hypervisor's SCHEDOP_block idle; hidden by CPUID"),
        ("INVPCID", false, "no process-context identifiers; hidden by CPUID"),
        ("SMAP", false, "CR4.SMAP is not offered; hidden by CPUID"),
        ("PKU", false, "CR4.PKE is not offered, and 32-bit paging has no protection keys"),
        ("RDPRU", false, NoGuestAsks),
        ("WRMSRNS", false, NoGuestAsks),
        ("RAO_INT", false, NoGuestAsks),
        ("PREFETCHITI", false, NoGuestAsks),
        ("PTWRITE", false, "no processor trace; hidden by CPUID"),
        ("CET", false, "no shadow stacks; hidden by CPUID"),
        ("RDTSCP", false, NoGuestAsks),
        ("RDRAND", false, NoGuestAsks),
        ("RDSEED", false, NoGuestAsks),
        ("RDPID", false, NoGuestAsks),
        ("SYSCALL", false, "only where a paravirtual guest has registered a callback for it"),
        ("RTM", true, "transactions may always abort, and processors have them switched off; hidden by CPUID"),
        ("HLE", true, "transactions may always abort, and processors have them switched off; hidden by CPUID"),
        ("TSX", true, "transactions may always abort, and processors have them switched off; hidden by CPUID"),
        ("VMX", true, Nested),
        ("SVM", true, Nested),
        ("SKINIT", true, Nested),
        ("SEV", true, Nested),
        ("INVLPGB", true, Nested),
        ("TDX", true, Nested),
        ("SMX", true, "measured launch needs the chipset"),
        ("SMM", true, "there is no system management mode below a hypervisor's guest"),
        ("SGX", true, Secret),
        ("OSS", true, Secret),
        ("KL", true, Secret),
        ("AESKLE", true, Secret),
        ("PCONFIG", true, Secret),
        ("ENQCMD", true, "needs devices that take commands by it"),
        ("HRESET", true, "tells the host's scheduler's hardware, which a guest must not"),
        ("MCOMMIT", true, Vendor),
        ("UDBG", true, "microcode debugging"),
        ("MPX", true, Gone),
        ("D3NOW", true, Gone),
        ("XOP", true, Gone),
        ("TBM", true, Gone),
        ("LWP", true, Gone),
        ("PCOMMIT", true, Gone),
        ("CYRIX", true, Gone),
        ("PADLOCK", true, Vendor),
        ("CENTAUR", true, Vendor),
        ("CL1INVMB", true, Gone),
        ("IA64", true, Gone),
        ("UMOV", true, Gone),
        ("INTEL286_ONLY", true, Gone),
        ("INTEL386_ONLY", true, Gone),
        ("INTEL386_A0_ONLY", true, Gone),
        ("FPU287XL_ONLY", true, Gone),
        ("FPU387SL_ONLY", true, Gone),
        ("FPU287", true, "FSETPM: a 287's; later processors ignore it, none of today's guests has it"),
    ];

    /// <summary>Why an encoding is missing; null where no reason is written down.</summary>
    public static (bool Never, string Reason)? Of(Code code)
    {
        string[] names = [.. code.CpuidFeatures().Select(f => f.ToString())];

        // Of several features, the one that is last in coming says it: AVX512 before GFNI.
        foreach ((string prefix, bool never, string reason) in Reasons)
        {
            if (names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                return (never, reason);
            }
        }

        // Encodings of old processors that others took over.
        return code.ToOpCode().DecoderOption is DecoderOptions.MovTr or DecoderOptions.Cmpxchg486A ? (true, Gone) : null;
    }
}
