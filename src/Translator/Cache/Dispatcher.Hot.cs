using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>A guest that goes on with another engine: which code it runs, and having that ready.</summary>
internal sealed unsafe partial class Dispatcher
{
    // What ran less often is decoded when it is met. The number bounds what the other engine spends on it: some 50 ms.
    private const int LeastExecutions = 4, MostHotBlocks = 8192;

    /// <summary>See <see cref="Engine.ListHot"/>.</summary>
    public HotCode ListHot()
    {
        var regions = new HashSet<Translation>();
        var blocks = new List<(int Executions, HotBlock Block)>();
        foreach (CodeBlock block in _cache.Blocks)
        {
            if (!IsPlaced(block.Mode, block.Host, block.Eip))
            {
                continue;
            }

            if (block.Region is { } region)
            {
                regions.Add(region);
            }
            else if (block.Decoded is not null && block.Executions is var executions and >= LeastExecutions)
            {
                blocks.Add((executions, new HotBlock(block.Host, block.Eip, (uint)block.Mode)));
            }
        }

        return new HotCode(
            [.. blocks.OrderByDescending(static block => block.Executions).Take(MostHotBlocks).Select(static block => block.Block)],
            [.. regions.Select(static region => new HotRegion(
                region.Shape.Entry, (uint)region.Shape.Mode, [.. region.Pages.Select(static page => (page.Key, (nint)(page.Value + ((long)page.Key << 12))))]))]);
    }

    /// <summary>See <see cref="Engine.Warm"/>.</summary>
    public void Warm(HotCode code)
    {
        _jumps.Commit();
        _queue?.Prepare();
        foreach (HotRegion region in code.Regions)
        {
            TakeOver(region);
        }

        foreach (HotBlock hot in code.Blocks)
        {
            var mode = (CpuMode)hot.Mode;
            if (IsPlaced(mode, hot.Host, hot.Eip) && !_interpreter.IsFull && _cache.BlockCount < MaxBlocks
                && _cache.Get(hot.Host, hot.Eip, mode) is { Decoded: null, Function: 0 } block)
            {
                _cache.Protect(block.Host);
                if (_interpreter.DecodeAhead(_cpu, (byte*)block.Host, block.Eip, mode, Emit.RegionBuilder.MaxBlockInstructions) is { } decoded)
                {
                    _cache.SetDecoded(block, decoded);
                }
            }
        }
    }

    private void TakeOver(HotRegion hot)
    {
        if (_policy.Store is not { } store)
        {
            return;
        }

        var pages = new Dictionary<uint, long>();
        foreach ((uint page, nint host) in hot.Pages)
        {
            pages[page] = host - ((long)page << 12);
        }

        foreach (StoredRegion stored in store.At(hot.Eip, (CpuMode)hot.Mode, _compiler.Options))
        {
            if (stored.Code is { } compiled && _compiler.Place(stored, page => pages.GetValueOrDefault(page), static _ => { }) is { } translation)
            {
                translation.Code = compiled;
                Install(translation);
                Note(store, stored);
                return;
            }
        }
    }

    // Flat code, whose place in its page is that of its linear address, and no translation that others fall back on.
    private static bool IsPlaced(CpuMode mode, nint host, uint eip) =>
        (mode & (CpuMode.Flat | CpuMode.Apart)) == CpuMode.Flat && (((uint)host ^ eip) & 0xFFF) == 0;
}
