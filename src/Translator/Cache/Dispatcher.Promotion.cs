using System.Runtime.CompilerServices;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Which block gets a better form, and when; what the compiler has done is installed.</summary>
internal sealed unsafe partial class Dispatcher
{
    // About: docs/PERFORMANCE.md. A translated instruction takes one.
    private const int InterpretedNanoseconds = 8;
    private const long NanosecondsPerRegion = 3_000_000;

    // Half the time: until the last of what runs often has its second form, each way between the two is one by the dispatcher.
    private const long WindowedShare = 2;

    /// <summary>
    /// Whether compilation has taken little of the time that guest code has run. What goes by the address window is compiled once more, and reckoned by itself: other code would wait for it else. The time is reckoned from what was retired: a clock would be
    /// asked too often.
    /// </summary>
    private bool IsCompilationCheap
    {
        get
        {
            long ran = ((long)_cpu->RetiredInterpreted * InterpretedNanoseconds) + (long)(_cpu->RetiredQuick + _cpu->RetiredOptimized);
            return _compiler.PlainNanoseconds + ((_queue?.Waiting ?? 0) * NanosecondsPerRegion) < ran / 100 * _policy.CompileShare;
        }
    }

    private bool IsWindowedCompilationCheap => _compiler.WindowedNanoseconds < (long)_cpu->RetiredOptimized / WindowedShare;

    /// <summary>Makes the next better form of a block, where the policy says that it is time.</summary>
    [MethodImpl(HostCompilation.AtOnce)]
    private void Promote(CodeBlock block)
    {
        int executions = (int)Math.Min((long)block.Executions * (block.Decoded?.Weight ?? 1), int.MaxValue);
        if (executions >= block.NextLookUp && TryTakeOver(block, executions))
        {
            return;
        }

        if (executions < _policy.EarlyThreshold || block.RegionPending || (executions < _policy.FirstThreshold && !IsCompilationCheap))
        {
            return;
        }

        if (block.TakenInBy is { IsPending: true })
        {
            block.Executions = 0;
            return;
        }

        if (block.Untranslatable != 0 || !Translatable.IsModeTranslated(block.Mode)
            || !_cache.IsWorthTranslating(block.Host))
        {
            return;
        }

        _cpu->Doing = (int)ProcessorActivity.Compiling;
        if (!_policy.Quick)
        {
            Optimize(block, background: _queue is not null);
            return;
        }

        MakeQuick(block);
    }

    private void MakeQuick(CodeBlock block)
    {
        if (_compiler.Build(block, optimize: false) is not { } translation)
        {
            LeaveToInterpreter(block);
            return;
        }

        _compiler.Compile(translation);
        Install(translation);
    }

    private void Optimize(CodeBlock block, bool background)
    {
        if (TryTakeOver(block, block.Executions))
        {
            return;
        }

        if (_compiler.Build(block, optimize: true) is not { } translation)
        {
            LeaveToInterpreter(block);
            return;
        }

        if (_policy.Store is { } store && !TryClaim(store, translation))
        {
            _compiler.Recount(block);
            return;
        }

        Compile(block, translation, background);
    }

    /// <summary>Has a region compiled that is entered at a block.</summary>
    /// <returns>False where too many wait already: it is dropped then.</returns>
    private bool Compile(CodeBlock block, Translation translation, bool background)
    {
        if (translation.Code is not null || !background)
        {
            _compiler.Compile(translation);
            Install(translation);
            return true;
        }

        if (_queue!.TryAdd(translation))
        {
            block.RegionPending = true;
            return true;
        }

        // Full: the block asks again after as many executions.
        _compiler.Unclaim(translation);
        _cache.Drop(translation);
        _compiler.Recount(block);
        return false;
    }

    private void OnHot(CpuState* cpu)
    {
        if (!TryFind(cpu, out CodeBlock? block) || block.Region is not null || block.RegionPending)
        {
            return;
        }

        cpu->Doing = (int)ProcessorActivity.Compiling;
        Optimize(block, _queue is not null);
        cpu->Doing = (int)ProcessorActivity.Dispatching;
    }

    private void InstallFinished()
    {
        if (_queue is null)
        {
            return;
        }

        while (_queue.TryTake(out Translation? translation))
        {
            Install(translation);
        }
    }

    private void Install(Translation translation)
    {
        if (translation.Dropped)
        {
            _compiler.Abandon(translation);
            return;
        }

        if (translation.IsRefused)
        {
            ShunWindow(translation);
            return;
        }

        _cache.Install(translation, _compiler.EntriesOf(translation), _policy.OptimizeThreshold);
    }

    private void LeaveToInterpreter(CodeBlock block)
    {
        _cache.ForgetDecoded(block);
        block.Untranslatable = _compiler.CountUntranslatable(block);
    }
}
