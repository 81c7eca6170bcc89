using System.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Makes translations: finds their code on the processor's thread, emits and compiles them on any.</summary>
internal sealed unsafe class RegionCompiler(CpuState* cpu, TierPolicy policy, CodeCache cache, ExitTable exits, LinkPool links, JumpTable jumps)
{
    private readonly RegionBuilder _builder = new(cpu, cache.Protect, !policy.PortableFloatingPoint && LiveUnits.IsSupported);
    private long _ticks, _ilBytes, _blocks, _regions;

    /// <summary>Stopwatch ticks spent, all threads.</summary>
    public long Ticks => Interlocked.Read(ref _ticks);

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
            ? _builder.BuildRegion(block.Eip, block.Mode, policy.MaxRegionInstructions, (eip, isCall) => IsWorthIt(eip, block.Mode, isCall))
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
        return translation;
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

        long start = Stopwatch.GetTimestamp();
        var target = new EmitTarget(translation.Optimized, policy.Link, exits, jumps.Address, translation.CounterAddress, links.Add);
        EmittedRegion emitted = RegionEmitter.Emit(translation.Region!, target);
        translation.Compile(emitted);
        Interlocked.Add(ref _ticks, Stopwatch.GetTimestamp() - start);
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
            if (!entry.IsEntry)
            {
                continue;
            }

            CodeBlock block = cache.Get((nint)(region.Pages[entry.Start >> 12] + entry.Start), entry.Start, region.Mode);
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

    /// <summary>Lets a quick block count down once more.</summary>
    public void Recount(CodeBlock block)
    {
        if (block.Quick is { CounterAddress: not 0 } quick)
        {
            *(int*)quick.CounterAddress = policy.OptimizeThreshold;
        }
    }

    /// <summary>
    /// Only code that has run is taken into a region: the rest would cost compile time for nothing. Where nothing runs before it is
    /// translated, that holds for functions alone.
    /// </summary>
    private bool IsWorthIt(uint eip, CpuMode mode, bool isCall)
    {
        if (policy.FirstThreshold == 0 && !policy.Quick && !isCall)
        {
            return true;
        }

        long entry = *(long*)(cpu->Tlb + (2L * SoftwareTlb.TableBytes) + ((long)(eip >> 12) * 8));
        return entry != 0 && cache.Find((nint)(entry + eip), eip, mode) is not null;
    }
}
