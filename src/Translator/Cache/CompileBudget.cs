using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// How eagerly the tiered engine compiles. A guest that boots runs much code for a short while: at thresholds low enough for a program to get
/// fast at once, most of its time would go to the compiler. So eager compilations are rationed by what the guest has executed, after a
/// stock to begin with; beyond the ration a block must have run so often that it has cost as much as its compilation.
/// Counts instructions, not time: two runs of the same guest decide alike.
/// </summary>
internal sealed unsafe class CompileBudget(CpuState* cpu)
{
    /// <summary>Multiple of the usual threshold at which a block is compiled whatever the ration.</summary>
    public const int PatientFactor = 10;

    private const long QuickStock = 400, InstructionsPerQuick = 200_000;
    private const long RegionStock = 60, InstructionsPerRegion = 3_000_000;

    private long _quick, _regions;

    /// <summary>Whether an eager quick block is within the ration.</summary>
    public bool AllowsQuick => _quick < Ration(QuickStock, InstructionsPerQuick);

    /// <summary>Whether an eager region is within the ration.</summary>
    public bool AllowsRegion => _regions < Ration(RegionStock, InstructionsPerRegion);

    /// <summary>Counts a quick block against the ration.</summary>
    public void TakeQuick() => _quick++;

    /// <summary>Counts a region against the ration.</summary>
    public void TakeRegion() => _regions++;

    private long Ration(long stock, long instructions) =>
        stock + (long)((cpu->RetiredInterpreted + cpu->RetiredQuick + cpu->RetiredOptimized) / (ulong)instructions);
}
