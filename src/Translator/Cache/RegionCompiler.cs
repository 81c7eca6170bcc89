using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Makes translations: finds their code on the processor's thread, emits and compiles them on any.</summary>
internal sealed unsafe class RegionCompiler(CpuState* cpu, TierPolicy policy, CodeCache cache, ExitTable exits, LinkPool links, JumpTable jumps, JumpTargets targets)
{
    // A block that runs once for so many executions of the entry stays outside.
    private const int RarelyTaken = 32;

    // What is larger is linked to and not taken in once more: the way there costs little of the time that is spent in it.
    private const int LargeRegion = 200;

    private readonly RegionBuilder _builder = new(cpu, cache.Protect, !policy.PortableFloatingPoint && LiveUnits.IsSupported);
    private long _nanoseconds, _ilBytes, _blocks, _regions;

    /// <summary>Processor time spent, all threads, in nanoseconds.</summary>
    public long Nanoseconds => Interlocked.Read(ref _nanoseconds);

    /// <summary>IL emitted.</summary>
    public long IlBytes => Interlocked.Read(ref _ilBytes);

    /// <summary>Quick blocks compiled.</summary>
    public long BlocksCompiled => Interlocked.Read(ref _blocks);

    /// <summary>Regions compiled.</summary>
    public long RegionsCompiled => Interlocked.Read(ref _regions);

    /// <summary>Finds what belongs to a translation of a block whose page is executable now.</summary>
    /// <returns>Null where its first instruction cannot be translated.</returns>
    public Translation? Build(CodeBlock block, bool optimize)
    {
        Region? region = optimize
            ? _builder.BuildRegion(block.Eip, block.Mode, policy.MaxRegionInstructions, Follow(block), TargetsOf)
            : _builder.BuildBlock(block.Eip, block.Mode);
        if (region is null)
        {
            return null;
        }

        var translation = new Translation(region, optimize);
        if (!optimize && policy.OptimizeThreshold > 0)
        {
            translation.Counter = links.AddCounter(policy.OptimizeThreshold, out nint address);
            translation.CounterAddress = address;
        }

        cache.Track(translation, region);
        if (optimize && !region.IsApart)
        {
            block.RegionSize = region.InstructionCount;
            RestartCounts(translation, region);
        }

        return translation;
    }

    /// <summary>
    /// Blocks of one loop get hot together. Those that the region holds begin to count anew when it is there, and don't ask for regions of their
    /// own, with the same code, before; who is still entered from elsewhere afterwards will.
    /// </summary>
    private void RestartCounts(Translation translation, Region region)
    {
        foreach (GuestBlock inside in region.Blocks)
        {
            if (cache.Find((nint)(region.Pages[inside.Start >> 12] + inside.Start), inside.Start, region.Mode) is { Function: 0 } block)
            {
                block.Executions = 0;
                block.TakenInBy = translation;
            }
        }
    }

    /// <summary>How many of a block's first instructions are not translated; at least 1.</summary>
    public int CountUntranslatable(CodeBlock block) => _builder.CountUntranslatable(block.Eip, block.Mode);

    /// <summary>Emits and compiles. Any thread.</summary>
    public void Compile(Translation translation)
    {
        if (translation.Dropped)
        {
            return;
        }

        long start = ThreadTime.Nanoseconds;
        var target = new EmitTarget(translation.Optimized, policy.Link, exits, jumps.Address, translation.CounterAddress, links.Add);
        EmittedRegion emitted = RegionEmitter.Emit(translation.Region!, target);
        translation.Compile(emitted);
        long spent = ThreadTime.Nanoseconds - start;
        DbtEventSource.Log.TellCompiled(translation, spent);
        Interlocked.Add(ref _nanoseconds, spent);
        Interlocked.Add(ref _ilBytes, emitted.IlBytes);
        Interlocked.Increment(ref translation.Optimized ? ref _regions : ref _blocks);
    }

    /// <summary>The blocks at which a compiled translation is entered; ends its hold on what it was made from.</summary>
    public List<CodeBlock> EntriesOf(Translation translation)
    {
        Region region = translation.Region!;
        translation.Region = null;
        var entries = new List<CodeBlock>();
        foreach (GuestBlock entry in region.Blocks)
        {
            if (!entry.IsEntry || (region.IsApart && entry.Start != region.Entry))
            {
                continue;
            }

            CodeBlock block = cache.Get((nint)(region.Pages[entry.Start >> 12] + entry.Start), entry.Start, region.KeyMode);
            if (entry.Start == region.Entry)
            {
                block.RegionPending = false;
                entries.Add(block);
            }
            else if (block.Region is null)
            {
                entries.Add(block);
            }
        }

        return entries;
    }

    /// <summary>A translation that was dropped before it could be installed: its block may ask for another.</summary>
    public void Abandon(Translation translation)
    {
        Region region = translation.Region!;
        translation.Region = null;
        if (cache.Find((nint)(region.Pages[region.Entry >> 12] + region.Entry), region.Entry, region.KeyMode) is { } block)
        {
            block.RegionPending = false;
        }
    }

    /// <summary>Lets a quick block count down once more.</summary>
    public void Recount(CodeBlock block)
    {
        if (block.Quick is { CounterAddress: not 0 } quick)
        {
            *(int*)quick.CounterAddress = policy.OptimizeThreshold;
        }
    }

    private static bool HasLargeRegion(CodeBlock block) => block.RegionSize > LargeRegion && (block.RegionPending || block.Region is not null);

    private List<uint> TargetsOf(uint eip) => targets.Of((nint)(ExecuteEntry(eip) + eip), eip);

    private long ExecuteEntry(uint eip) => SoftwareTlb.ExecuteEntry(cpu, eip >> 12);

    /// <summary>
    /// Only code that runs not much more seldom than the entry is taken into a region: the rest would cost compile time for nothing. Where
    /// nothing runs before it is translated, all is taken but functions that have not run.
    /// </summary>
    private Func<uint, bool, bool> Follow(CodeBlock entry)
    {
        bool all = policy.FirstThreshold == 0 && !policy.Quick;
        int least = policy.Quick ? 0 : entry.Executions / RarelyTaken;
        CpuMode mode = entry.Mode & ~CpuMode.Apart;
        return (eip, isCall) =>
        {
            if (all && !isCall)
            {
                return true;
            }

            long page = ExecuteEntry(eip);
            return page != 0 && cache.Find((nint)(page + eip), eip, mode) is { } block
                && (block.Function != 0 || block.Executions >= least) && !HasLargeRegion(block);
        };
    }
}
