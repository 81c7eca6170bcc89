using Iced.Intel;

namespace Dbt.Translator.Simd;

/// <summary>
/// The portable routine of each MMX and SSE instruction. Lane arithmetic is .NET's Vector128, which is the host's own vector unit
/// where there is one and plain code elsewhere; floating point is the soft-float core's; the rest are loops over lanes.
/// </summary>
internal static partial class SimdTable
{
    private static readonly SimdRoutine?[] Routines = new SimdRoutine?[(int)Enum.GetValues<Mnemonic>().Max() + 1];

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
        AddFloating();
        AddConversions();
        AddEstimates();
    }

    /// <summary>The routine of an instruction; null where there is none.</summary>
    public static SimdRoutine? Find(Mnemonic mnemonic) => Routines[(int)mnemonic];

    private static void Add(Mnemonic mnemonic, SimdRoutine routine) => Routines[(int)mnemonic] = routine;
}
