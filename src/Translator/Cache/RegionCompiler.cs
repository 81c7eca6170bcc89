using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Makes translations: finds their code on the processor's thread, emits and compiles them on any.</summary>
internal sealed unsafe class RegionCompiler(CpuState* cpu, TierPolicy policy, CodeCache cache, JumpTargets targets)
{
    // A block that runs once for so many executions of the entry stays outside.
    private const int RarelyTaken = 32;

    // What is larger is linked to and not taken in once more: the way there costs little of the time that is spent in it.
    private const int LargeRegion = 200;

    // So often what goes by the address window is compiled, with more accesses checked each time.
    private const int MostAttempts = 4;

    private readonly RegionBuilder _builder = new(cpu, cache.Protect, IsNativeFloatingPoint(policy));
    private long _plainNanoseconds, _windowedNanoseconds, _ilBytes, _blocks, _regions;

    /// <summary>Processor time spent, all threads, in nanoseconds.</summary>
    public long Nanoseconds => PlainNanoseconds + WindowedNanoseconds;

    /// <summary>What of it was spent on code that checks its accesses.</summary>
    public long PlainNanoseconds => Interlocked.Read(ref _plainNanoseconds);

    /// <summary>What of it was spent on code that goes by the address window.</summary>
    public long WindowedNanoseconds => Interlocked.Read(ref _windowedNanoseconds);

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

        var translation = new Translation(RegionShape.Of(region, TargetOf(optimize)), region.Pages, optimize) { Region = region };
        cache.Track(translation);
        if (optimize && !region.IsApart)
        {
            block.RegionSize = region.InstructionCount;
            RestartCounts(translation, region);
        }

        return translation;
    }

    /// <summary>What an installed translation was made from, once more: to reach memory by the address window.</summary>
    public Translation BuildWindowed(Translation plain)
    {
        Region region = plain.Shape.ToRegion(plain.Pages, windowed: true);
        var translation = new Translation(RegionShape.Of(region, TargetOf(optimize: true)), plain.Pages, optimized: true) { Region = region };
        cache.Track(translation);
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
        if (translation.Code is not null)
        {
            return;
        }

        if (translation.Dropped)
        {
            Unclaim(translation);
            return;
        }

        long start = ThreadTime.Nanoseconds;
        EmittedRegion emitted = RegionEmitter.Emit(translation.Region!, TargetOf(translation.Optimized));
        translation.Code = translation.IsWindowed ? CompileWindowed(translation.Region!, TargetOf(optimize: true), ref emitted) : CompiledCode.Compile(emitted);
        long spent = ThreadTime.Nanoseconds - start;
        Interlocked.Add(ref translation.IsWindowed ? ref _windowedNanoseconds : ref _plainNanoseconds, spent);
        if (translation.Code is null)
        {
            translation.IsRefused = true;
            Unclaim(translation);
            return;
        }

        DbtEventSource.Log.TellCompiled(translation, spent);
        Interlocked.Add(ref _ilBytes, emitted.IlBytes);
        Interlocked.Increment(ref translation.Optimized ? ref _regions : ref _blocks);
        if (translation.IsClaimed)
        {
            policy.Store!.Add(translation.Shape, translation.Code, spent);
            Unclaim(translation);
        }
    }

    /// <summary>Compiles a region that goes by the address window; what RyuJIT doesn't compile as it must be for that, it gets once more with those accesses checked.</summary>
    public static CompiledCode? CompileWindowed(Region region, EmitTarget target, ref EmittedRegion emitted)
    {
        for (int attempt = 1; ; attempt++)
        {
            if (CompiledCode.CompileWindowed(emitted, out IReadOnlySet<int> refused) is { } code)
            {
                return code;
            }

            int known = region.Checked.Count;
            foreach (int exit in refused)
            {
                if (exit >= ExitTable.FirstSite && exit - ExitTable.FirstSite < emitted.Sites.Count)
                {
                    region.Checked.Add(emitted.Sites[exit - ExitTable.FirstSite].Eip);
                }
            }

            if (region.Checked.Count == known || attempt == MostAttempts)
            {
                return null;
            }

            target.Marks?.Clear();
            emitted = RegionEmitter.Emit(region, target);
        }
    }

    /// <summary>It is not compiled by this engine any more, or it is done. Any thread.</summary>
    public void Unclaim(Translation translation)
    {
        if (translation.IsClaimed)
        {
            translation.IsClaimed = false;
            policy.Store!.Release(translation.Shape);
        }
    }

    /// <summary>
    /// A translation of a stored region at its place in the present address space, with its frames protected; null where a page is not
    /// mapped, or holds other bytes.
    /// </summary>
    /// <param name="stored">The region.</param>
    /// <param name="resolve">Looks a page up that has no execute entry.</param>
    public Translation? Place(StoredRegion stored, Action<uint> resolve) => Place(stored, page => ExecuteEntry(page << 12), resolve);

    /// <summary>The same where the address space is another's.</summary>
    /// <param name="stored">The region.</param>
    /// <param name="entryOf">The execute entry of a page, 0 for none.</param>
    /// <param name="resolve">Looks a page up that has none.</param>
    public Translation? Place(StoredRegion stored, Func<uint, long> entryOf, Action<uint> resolve)
    {
        RegionShape shape = stored.Shape;
        var pages = new Dictionary<uint, long>();

        // Compared twice: what differs shall not lose its write entries nor be looked up, and what is the same must not change between.
        Array.ForEach(shape.Pages, page => pages.Add(page, entryOf(page)));
        if (!shape.Matches(pages))
        {
            return null;
        }

        foreach (uint page in shape.Pages)
        {
            if (pages[page] == 0)
            {
                resolve(page);
                pages[page] = entryOf(page);
                if (pages[page] == 0)
                {
                    return null;
                }
            }
        }

        var translation = new Translation(shape, pages, optimized: true);
        cache.Track(translation);
        if (shape.Matches(pages))
        {
            return translation;
        }

        cache.Drop(translation);
        return null;
    }

    /// <summary>How a store's regions must have been emitted to be of use here.</summary>
    public int Options { get; } = RegionShape.OptionsOf(new EmitTarget(Optimize: true, policy.Link, Counts: false), IsNativeFloatingPoint(policy));

    /// <summary>How translations of a tier are emitted.</summary>
    public EmitTarget TargetOf(bool optimize) => new(optimize, policy.Link, Counts: !optimize && policy.OptimizeThreshold > 0);

    /// <summary>The blocks at which a compiled translation is entered.</summary>
    public List<CodeBlock> EntriesOf(Translation translation)
    {
        translation.Region = null;
        var entries = new List<CodeBlock>();
        foreach (uint eip in translation.Shape.Entries)
        {
            CodeBlock block = cache.Get(translation.HostOf(eip), eip, translation.Shape.Mode);
            block.RegionPending &= eip != translation.Shape.Entry;
            if (block.Region is null)
            {
                entries.Add(block);
            }
        }

        return entries;
    }

    /// <summary>A translation that was dropped before it could be installed: its block may ask for another.</summary>
    public void Abandon(Translation translation)
    {
        translation.Region = null;
        if (cache.Find(translation.HostOf(translation.Shape.Entry), translation.Shape.Entry, translation.Shape.Mode) is { } block)
        {
            block.RegionPending = false;
            if (translation.IsWindowed)
            {
                block.Executions = 0;
            }
        }
    }

    /// <summary>Lets a block count up or down once more before it asks for a region again.</summary>
    public void Recount(CodeBlock block)
    {
        block.Executions = 0;
        if (block.Quick is { } quick)
        {
            InstancePool.Recount(quick, policy.OptimizeThreshold);
        }
    }

    private static bool IsNativeFloatingPoint(TierPolicy policy) => !policy.PortableFloatingPoint && LiveUnits.IsSupported;

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
        CpuMode mode = entry.Mode & ~(CpuMode.Apart | CpuMode.Window);
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
