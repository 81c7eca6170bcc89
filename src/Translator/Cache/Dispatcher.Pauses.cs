namespace Dbt.Translator.Cache;

/// <summary>
/// What is done while the guest has nothing to do. Code that is kept for later runs is worth compiling before it is hot in this one; a boot
/// runs most of its code a few hundred times, and the next boot will again. It is done once, so an idle guest costs nothing afterwards.
/// </summary>
internal sealed unsafe partial class Dispatcher
{
    // A guest that waits for a disk or a packet is not idle.
    private const int QuietPauses = 8;
    private const ulong QuietInstructions = 200_000;

    private const int RegionsPerPause = 8;
    private const int MostCandidates = 1024;

    // So much has to be interpreted before it is worth looking again.
    private const ulong SearchInterval = 20_000_000;

    private readonly Stack<CodeBlock> _candidates = new();
    private ulong _retiredBefore, _searchedAt;
    private int _quiet;

    /// <summary>See <see cref="Engine.UsePause"/>.</summary>
    public void UsePause()
    {
        if (_queue is not { Waiting: 0 } || _policy.Store is null || !IsQuiet())
        {
            return;
        }

        if (_candidates.Count == 0)
        {
            if (_cpu->RetiredInterpreted - _searchedAt < SearchInterval)
            {
                return;
            }

            _searchedAt = _cpu->RetiredInterpreted;
            FindCandidates();
        }

        for (int started = 0; started < RegionsPerPause && _candidates.TryPop(out CodeBlock? block);)
        {
            // Others may have taken it in meanwhile, or its code may be gone.
            if (IsCandidate(block))
            {
                Optimize(block, background: true);
                started++;
            }
        }
    }

    private bool IsQuiet()
    {
        ulong retired = _cpu->RetiredInterpreted + _cpu->RetiredQuick + _cpu->RetiredOptimized;
        _quiet = retired - _retiredBefore < QuietInstructions ? _quiet + 1 : 0;
        _retiredBefore = retired;
        return _quiet >= QuietPauses;
    }

    private void FindCandidates()
    {
        foreach (CodeBlock block in _cache.Blocks.Where(IsCandidate).OrderByDescending(block => block.Executions).Take(MostCandidates).Reverse())
        {
            _candidates.Push(block);
        }
    }

    // Its page must be mapped here and now: code of the kernel, which is where a processor waits.
    private bool IsCandidate(CodeBlock block) =>
        block is { Function: 0, RegionPending: false, Untranslatable: 0, TakenInBy: null or { Dropped: true }, Decoded: not null }
        && block.Executions >= _policy.PauseThreshold && ((block.Mode ^ _cpu->Mode) & State.CpuMode.User) == 0
        && Emit.Translatable.IsModeTranslated(block.Mode) && (block.Mode & State.CpuMode.Apart) == 0
        && Memory.SoftwareTlb.ExecuteEntry(_cpu, block.Eip >> 12) == block.ExecuteEntry && _cache.IsWorthTranslating(block.Host);
}
