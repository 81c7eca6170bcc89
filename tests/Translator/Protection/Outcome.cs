namespace Dbt.Tests.Translator.Protection;

/// <summary>An outcome as text, and what of it is compared.</summary>
internal static class Outcome
{
    private static readonly string[] Names =
    [
        "vector", "error", "eflags", "eax", "ebx", "ecx", "edx", "cs", "eip", "ds", "es", "fs", "gs", "esp", "ss", "cr2", "dr6", "tr", "word0", "word1",
    ];

    // RF is not in what QEMU 7.2 pushes for a fault.
    private const uint ResumeFlag = 0x10000;

    /// <summary>#GP, #DF and so on; "ok" for a case that ran to its end.</summary>
    public static string Name(uint vector) => vector switch
    {
        MonitorLayout.Done => "ok",
        0 => "DE",
        1 => "DB",
        2 => "NMI",
        3 => "BP",
        4 => "OF",
        5 => "BR",
        6 => "UD",
        7 => "NM",
        8 => "DF",
        10 => "TS",
        11 => "NP",
        12 => "SS",
        13 => "GP",
        14 => "PF",
        16 => "MF",
        17 => "AC",
        _ => $"{vector:x2}",
    };

    public static bool Same(Case c, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        // With a reserved bit there is an entry present (SDM vol. 3, figure 4-12), which QEMU 7.2 doesn't say.
        uint reserved = BitConverter.ToUInt32(a) == 14 && (BitConverter.ToUInt32(a[4..]) & 8) != 0 ? 1u : 0;
        for (int i = 0; i < a.Length / 4; i++)
        {
            uint difference = BitConverter.ToUInt32(a[(i * 4)..]) ^ BitConverter.ToUInt32(b[(i * 4)..]);
            uint ignored = i switch { 1 => c.IgnoreError | reserved, 2 => c.IgnoreFlags | ResumeFlag, 3 => c.IgnoreEax, 4 => c.IgnoreEbx, 18 => c.IgnoreWord0, 19 => c.IgnoreWord1, _ => 0 };
            if ((difference & ~ignored) != 0)
            {
                return false;
            }
        }

        return true;
    }

    public static string Of(ReadOnlySpan<byte> result)
    {
        var parts = new List<string> { Name(BitConverter.ToUInt32(result)) };
        for (int i = 1; i < result.Length / 4; i++)
        {
            parts.Add($"{Names[i]}={BitConverter.ToUInt32(result[(i * 4)..]):x}");
        }

        return string.Join(' ', parts);
    }

    public static string Of(Case c) =>
        $"{c.Op} [{c.Setup}] cpl {c.Cpl} flags {c.Eflags:x} eax {c.Eax:x} ebx {c.Ebx:x} ecx {c.Ecx:x} edx {c.Edx:x} a {c.A:x16} b {c.B:x16} aux {c.Aux0:x} {c.Aux1:x}";
}
