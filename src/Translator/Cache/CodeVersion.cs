using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using System.Text;

namespace Dbt.Translator.Cache;

/// <summary>What machine code depends on besides its region: who emitted it, who compiled it, and for which processor.</summary>
internal static class CodeVersion
{
    /// <summary>Bytes of <see cref="Current"/>.</summary>
    public const int Length = SHA256.HashSizeInBytes;

    // Leaves of CPUID with features, and which of EAX to EDX hold them (SDM vol. 2, CPUID).
    private static readonly (int Leaf, int Subleaf, bool[] Registers)[] FeatureLeaves =
    [
        (0, 0, [false, true, true, true]),
        (1, 0, [false, false, true, true]),
        (7, 0, [false, true, true, true]),
        (7, 1, [true, true, true, true]),
        (unchecked((int)0x80000001), 0, [false, false, true, true]),
    ];

    /// <summary>The digest of all that. Code with another is of no use here.</summary>
    public static byte[] Current { get; } = SHA256.HashData(Encoding.UTF8.GetBytes(Describe()));

    private static string Describe()
    {
        var text = new StringBuilder();
        text.AppendLine(RuntimeInformation.FrameworkDescription);
        text.AppendLine(RuntimeInformation.ProcessArchitecture.ToString());
        foreach (System.Reflection.Assembly assembly in (System.Reflection.Assembly[])[typeof(CodeVersion).Assembly, typeof(object).Assembly, typeof(Iced.Intel.Instruction).Assembly])
        {
            text.AppendLine(assembly.ManifestModule.ModuleVersionId.ToString());
        }

        // What RyuJIT uses: the user can switch it off by environment variables.
        text.AppendJoin(' ', Sse3.IsSupported, Ssse3.IsSupported, Sse41.IsSupported, Sse42.IsSupported, Popcnt.IsSupported, Lzcnt.IsSupported, Bmi1.IsSupported, Bmi2.IsSupported,
            Fma.IsSupported, Avx.IsSupported, Avx2.IsSupported, Avx512F.IsSupported, Avx512F.VL.IsSupported, Avx512BW.IsSupported, Avx512DQ.IsSupported, Avx512Vbmi.IsSupported,
            System.Runtime.Intrinsics.X86.Aes.IsSupported, Pclmulqdq.IsSupported, System.Numerics.Vector<byte>.Count);
        if (X86Base.IsSupported)
        {
            foreach ((int leaf, int subleaf, bool[] registers) in FeatureLeaves)
            {
                (int eax, int ebx, int ecx, int edx) = X86Base.CpuId(leaf, subleaf);
                int[] values = [eax, ebx, ecx, edx];
                text.AppendJoin(' ', values.Where((_, i) => registers[i]));
            }
        }

        return text.ToString();
    }
}
