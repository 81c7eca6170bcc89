using Iced.Intel;

namespace Dbt.Translator.Simd;

/// <summary>
/// The portable routine of each MMX and SSE instruction. Lane arithmetic is .NET's Vector128, which is the host's own vector unit
/// where there is one and plain code elsewhere; floating point is the soft-float core's; the rest are loops over lanes.
/// </summary>
internal static partial class SimdTable
{
    private static readonly SimdRoutine?[] Routines = new SimdRoutine?[(int)Enum.GetValues<Mnemonic>().Max() + 1];

    private static readonly HashSet<Mnemonic> Floating = [];
    private static bool _floating;

    static SimdTable()
    {
        AddArithmetic();
        AddComparisons();
        AddShifts();
        AddMultiplies();
        AddShuffles();
        AddPacks();
        AddMoves();
        AddTransfers();
        AddStrings();
        AddCiphers();
        _floating = true;
        AddFloating();
        AddConversions();
        AddEstimates();
    }

    /// <summary>The routine of an instruction; null where there is none.</summary>
    public static SimdRoutine? Find(Mnemonic mnemonic) => Routines[(int)mnemonic];

    /// <summary>Whether an instruction looks at MXCSR or adds to it; moves, logic and integers do not.</summary>
    public static bool UsesMxcsr(Mnemonic mnemonic) => Routines[(int)mnemonic] is null || Floating.Contains(mnemonic);

    private static void Add(Mnemonic mnemonic, SimdRoutine routine)
    {
        Routines[(int)mnemonic] = routine;
        if (_floating)
        {
            Floating.Add(mnemonic);
        }
    }
}
