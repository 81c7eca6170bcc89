using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// The loop that all engines share: finds the block at EIP, runs it in the best form there is, and decides when a better one
/// is made. The only place that knows interpreter, translations and platform together.
/// </summary>
internal sealed unsafe partial class Dispatcher : IDisposable
{
    private const int MaxBlocks = 400_000;
    private const int RecentMask = 0xFFFF;
    private const int MaxPendingWrites = 4096;
    private const int InstructionsPerBlock = 5;

    private readonly Platform _platform;
    private readonly CpuState* _cpu;
    private readonly TierPolicy _policy;
    private readonly Interpreter _interpreter;
    private readonly InstancePool _instances = new();
    private readonly JumpTable _jumps = new();
    private readonly ExitCounters _counters = new();
    private readonly CodeCache _cache;
    private readonly RegionCompiler _compiler;
    private readonly CompileQueue? _queue;
    private readonly CodeBlock?[] _recent = new CodeBlock?[RecentMask + 1];
    private readonly ConcurrentQueue<(uint Frame, int Offset, int Length)> _foreignWrites = new();
    private GCHandle _platformHandle;
    private volatile Thread? _thread;
    private long _linksMade, _lookUps, _lookUpMisses;
    private bool _jumpMissed;

    public Dispatcher(Platform platform, CpuState* cpu, TierPolicy policy)
    {
        _platform = platform;
        _cpu = cpu;
        _policy = policy;
        _interpreter = new Interpreter(platform, policy.PortableFloatingPoint) { ChainLimit = (uint)policy.EarlyThreshold };
        _cache = new CodeCache(platform, cpu, _instances, _jumps, policy.RewritesUntilCool);
        _compiler = new RegionCompiler(cpu, policy, _cache, _interpreter.JumpTargets);
        _queue = policy.Background ? new CompileQueue(cpu, _compiler.Compile, _compiler.Unclaim) : null;
        _platformHandle = GCHandle.Alloc(platform);
        cpu->Platform = GCHandle.ToIntPtr(_platformHandle);
        cpu->ActivateCode = LiveUnits.ActivateCode;
        cpu->HarvestCode = LiveUnits.HarvestCode;
        cpu->HarvestX87Code = LiveUnits.HarvestX87Code;
        platform.CodeMap.CodeWritten += OnCodeWritten;
    }

    /// <summary>Counters so far.</summary>
    public EngineStatistics Statistics
    {
        get
        {
            var statistics = new EngineStatistics
            {
                InterpretedInstructions = _cpu->RetiredInterpreted,
                QuickInstructions = _cpu->RetiredQuick,
                OptimizedInstructions = _cpu->RetiredOptimized,
                BlocksDecoded = _interpreter.BlocksDecoded,
                BlocksCompiled = _compiler.BlocksCompiled,
                RegionsCompiled = _compiler.RegionsCompiled,
                RegionsTakenOver = _takenOver,
                CompileMillisecondsSaved = _nanosecondsSaved / 1e6,
                Invalidations = _cache.Invalidations,
                CompileMilliseconds = _compiler.Nanoseconds / 1e6,
                IlBytes = _compiler.IlBytes,
                Links = _linksMade,
                LookUps = _lookUps,
                LookUpMisses = _lookUpMisses,
                QueueLength = _queue?.Waiting ?? 0,
                CachedBlocks = _cache.BlockCount,
                CachedTranslations = _cache.Installed,
                CachedIlBytes = _cache.InstalledIlBytes,
            };
            _counters.CopyTo(statistics.SideExits);
            return statistics;
        }
    }

    /// <summary>Runs until the platform says to leave.</summary>
    [MethodImpl(HostCompilation.AtOnce)]
    public void Run()
    {
        CpuState* cpu = _cpu;
        _thread = Thread.CurrentThread;
        try
        {
            ApplyForeignWrites();
            ConsiderWindow(cpu);
            bool resuming = false;
            while (true)
            {
                if (cpu->InterruptShadow != 0)
                {
                    _interpreter.Step(cpu);
                    cpu->CodeChanged = 0;
                    continue;
                }

                if (cpu->Attention != 0)
                {
                    SamplePoint.Visit(cpu);
                    ApplyForeignWrites();
                    InstallFinished();
                    if (!_platform.Attend(cpu))
                    {
                        return;
                    }

                    ConsiderWindow(cpu);
                }

                if ((cpu->Mode & CpuMode.SingleStep) != 0)
                {
                    _interpreter.Step(cpu);
                    cpu->CodeChanged = 0;
                    continue;
                }

                if (!TryFind(cpu, out CodeBlock? block))
                {
                    _platform.DeliverFault(cpu);
                    continue;
                }

                if (block.Function == 0 && !resuming)
                {
                    Promote(block);
                }

                if (block.Function != 0)
                {
                    resuming = RunTranslated(cpu, cpu->Window != 0 ? Windowed(block) : block);
                }
                else
                {
                    Interpret(cpu, block);
                    resuming = false;
                }
            }
        }
        finally
        {
            _thread = null;
        }
    }

    /// <summary>See <see cref="Engine.List"/>.</summary>
    public BlockListing? List(uint eip) => new BlockLister(_cpu, _policy, _cache, _compiler).List(eip);

    /// <inheritdoc/>
    public void Dispose()
    {
        _platform.CodeMap.CodeWritten -= OnCodeWritten;
        _queue?.Dispose();
        _cache.Clear();
        _instances.Dispose();
        _jumps.Dispose();
        _interpreter.Dispose();
        _platformHandle.Free();
    }

    [MethodImpl(HostCompilation.AtOnce)]
    private bool TryFind(CpuState* cpu, [NotNullWhen(true)] out CodeBlock? block)
    {
        uint eip = cpu->Eip;
        CpuMode mode = cpu->Mode;
        _lookUps++;
        ref CodeBlock? recent = ref _recent[(eip ^ (eip >> 12)) & RecentMask];
        block = recent;
        if (block is not null && block.Eip == eip && block.Mode == mode && (mode & CpuMode.Flat) != 0)
        {
            long entry = SoftwareTlb.ExecuteEntry(cpu, eip >> 12);
            if (entry == block.ExecuteEntry)
            {
                return true;
            }
        }

        if (!_interpreter.TryFetch(cpu, out byte* host))
        {
            return false;
        }

        _lookUpMisses++;
        if (_cache.BlockCount >= MaxBlocks)
        {
            Forget();
        }

        block = recent = _cache.Get((nint)host, eip, mode);
        return true;
    }

    [MethodImpl(HostCompilation.AtOnce)]
    private void Interpret(CpuState* cpu, CodeBlock block)
    {
        DecodedBlock? decoded = block.Decoded;
        if (decoded is null || ((cpu->Mode & CpuMode.Flat) == 0 && !Interpreter.InsideCodeSegment(cpu, decoded)))
        {
            if (_interpreter.IsFull)
            {
                _cache.ForgetAllDecoded();
                _interpreter.Forget();
            }

            cpu->Doing = (int)ProcessorActivity.Decoding;
            _cache.Protect(block.Host);
            int most = block.Untranslatable != 0 ? block.Untranslatable : RegionBuilder.MaxBlockInstructions;
            if (!_interpreter.TryDecodeBlock(cpu, most, out decoded))
            {
                _platform.DeliverFault(cpu);
                return;
            }

            if (!decoded.CrossesPage && block.Decoded is null)
            {
                _cache.SetDecoded(block, decoded);
                GrantUntilLookUp(block);
            }
        }

        if (decoded.Code == null)
        {
            block.Executions++;
        }

        ulong before = cpu->RetiredInterpreted;
        cpu->Doing = (int)ProcessorActivity.Interpreting;
        Outcome outcome = _interpreter.ExecuteBlock(cpu, decoded);
        cpu->Doing = (int)ProcessorActivity.Dispatching;
        _cache.Clock += 1 + (long)((cpu->RetiredInterpreted - before) / InstructionsPerBlock);
        cpu->CodeChanged = 0;
        if (outcome == Outcome.Faulted)
        {
            _platform.DeliverFault(cpu);
        }
    }

    /// <returns>True where the rest of a block is to be interpreted: it began in a translation, and is no entry worth a translation of its own.</returns>
    [MethodImpl(HostCompilation.AtOnce)]
    private bool RunTranslated(CpuState* cpu, CodeBlock block)
    {
        int code = Call(cpu, block);
        ExitSite site = SiteOf(cpu, code);
        if (code >= ExitTable.FirstSite && LeftForSpan(cpu, site) is { } apart)
        {
            block = apart;
            code = Call(cpu, apart);
            site = SiteOf(cpu, code);
        }

        switch (code)
        {
            case ExitTable.Continue:
                _jumpMissed = true;
                return false;
            case ExitTable.Unlinked:
                ConnectLink(cpu);
                return false;
            case ExitTable.Hot:
                OnHot(cpu);
                return false;
            case ExitTable.Remapped:
                OnRemapped(cpu);
                return false;
            case ExitTable.NeedsUnits:
                OnUnitsNeeded(cpu);
                return false;
        }

        cpu->Eip = site.Eip;
        SamplePoint.Visit(cpu);
        CountRetired(cpu, site);
        _counters.Count(cpu, _platform.CodeMap, site);
        if (site.Kind == SideExitKind.Window)
        {
            return OnWindowMiss(cpu, site, _instances.TranslationOf(cpu->ExitInfo));
        }

        if (site.Kind == SideExitKind.Untranslated && InterpretUntranslated(cpu))
        {
            return false;
        }

        return InterpretOne(cpu) && site.Kind != SideExitKind.Untranslated;
    }

    /// <summary>Has the interpreter execute what a translation left.</summary>
    /// <returns>Whether what follows is next.</returns>
    private bool InterpretOne(CpuState* cpu)
    {
        cpu->Doing = (int)ProcessorActivity.Interpreting;
        Outcome outcome = _interpreter.ExecuteOne(cpu);
        cpu->Doing = (int)ProcessorActivity.Dispatching;
        cpu->CodeChanged = 0;
        if (outcome == Outcome.Faulted)
        {
            _platform.DeliverFault(cpu);
        }

        return outcome == Outcome.Completed;
    }

    [MethodImpl(HostCompilation.AtOnce)]
    private int Call(CpuState* cpu, CodeBlock block)
    {
        bool inWindow = InWindow(cpu, block);
        if (_jumpMissed)
        {
            // Another's entry lies in its place, or none.
            _jumpMissed = false;
            if (!inWindow || !CountsForWindow(block))
            {
                _jumps.Set(block, inWindow);
            }
        }

        Translation translation = block.Best!;
        bool native = translation.Code!.IsNative;
        cpu->JumpTable = _jumps.Address(native, native && inWindow);
        cpu->Doing = (int)ProcessorActivity.Translated;
        int code = native ? Enter(block.Function, cpu, translation.Instance) : ((delegate* managed<CpuState*, nint, nint, int>)block.Function)(cpu, translation.Instance, translation.Instance + InstanceLayout.OwnWay);
        cpu->Doing = (int)ProcessorActivity.Dispatching;
        return code;
    }

    /// <summary>Calls code that the runtime does not know: it need not wait for the thread until it is back.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static int Enter(nint function, CpuState* cpu, nint instance) => RegionEntry.Address(cpu, instance, function);

    /// <summary>The site of an exit code: at once, for the translation may be gone when anything else has run.</summary>
    private ExitSite SiteOf(CpuState* cpu, int code) =>
        code < ExitTable.FirstSite ? default : _instances.TranslationOf(cpu->ExitInfo).Code!.Sites[code - ExitTable.FirstSite];

    private static void CountRetired(CpuState* cpu, in ExitSite site)
    {
        if (site.Optimized)
        {
            cpu->RetiredOptimized += (uint)site.Retired;
        }
        else
        {
            cpu->RetiredQuick += (uint)site.Retired;
        }
    }

    /// <summary>Runs what cannot be translated here as a block of its own.</summary>
    /// <returns>False where it is to be executed alone.</returns>
    private bool InterpretUntranslated(CpuState* cpu)
    {
        if (!TryFind(cpu, out CodeBlock? block))
        {
            _platform.DeliverFault(cpu);
            return true;
        }

        if (block.Function != 0)
        {
            return false;
        }

        if (block.Untranslatable == 0)
        {
            LeaveToInterpreter(block);
        }

        Interpret(cpu, block);
        return true;
    }

    private void ConnectLink(CpuState* cpu)
    {
        Link link = _instances.LinkOf(cpu->ExitInfo);
        if (TryFind(cpu, out CodeBlock? target))
        {
            if (target.Function == 0)
            {
                Promote(target);
            }

            if (link.IsWindowed)
            {
                target = Windowed(target);
            }

            // Looking the target up may have written to code.
            if (target.Function != 0 && !link.IsFreed && !(link.IsWindowed && CountsForWindow(target)))
            {
                link.Connect(target);
                _linksMade++;
            }
        }
    }

    /// <summary>Code that needs the guest's floating-point control in the host's registers, where that cannot be: it is interpreted.</summary>
    private void OnUnitsNeeded(CpuState* cpu)
    {
        if (TryFind(cpu, out CodeBlock? block))
        {
            Interpret(cpu, block);
        }
        else
        {
            _platform.DeliverFault(cpu);
        }
    }

    private void OnCodeWritten(uint frame, int offset, int length)
    {
        if (_thread == Thread.CurrentThread)
        {
            if (_cache.Invalidate(frame, offset, length))
            {
                _cpu->CodeChanged = 1;
            }

            return;
        }

        if (_foreignWrites.Count < MaxPendingWrites)
        {
            _foreignWrites.Enqueue((frame, offset, length));
        }
        else
        {
            _foreignWrites.Enqueue((uint.MaxValue, 0, 0));
        }

        _cpu->Attention = 1;
    }

    private void ApplyForeignWrites()
    {
        while (_foreignWrites.TryDequeue(out (uint Frame, int Offset, int Length) write))
        {
            if (write.Frame == uint.MaxValue)
            {
                _foreignWrites.Clear();
                Forget();
                return;
            }

            _cache.Invalidate(write.Frame, write.Offset, write.Length);
        }
    }

    private void Forget()
    {
        _cache.Clear();
        _interpreter.Forget();
        Array.Clear(_recent);
    }
}
