using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Programs that reach memory by the address window: when they do, which code they run then, and what isn't in the window.</summary>
internal sealed unsafe partial class Dispatcher
{
    // How often code with a region is entered in the window before it gets one that goes by it: to be compiled once more costs some milliseconds. Code that runs when the processor is asked to attend to something, which is at random,
    // counts for more.
    private const int EntriesUntilWindowed = 4096, FoundAtRandom = 1024, EntriesUntilAgain = 1024;

    // How often code may reach for what the window can't have: pages with code that are written to, devices, addresses that go around.
    private const int MostVainAccesses = 32;

    // How often it may fail to map anything before it is left.
    private const int MostRefusedMaps = 64;

    // A fault of the host's, the signal, the way to the dispatcher and the interpreter, nanoseconds. What it all has cost is looked at after so many.
    private const ulong MissCost = 10_000;
    private const int MissesUntilLook = 16;

    private int _refusedMaps, _misses;
    private bool _attended;

    private int EnoughEntries => _policy.Windows == WindowUse.Always ? 1 : EntriesUntilWindowed;

    private static bool IsWindowed(CodeBlock block) => (block.Mode & CpuMode.Window) != 0;

    /// <summary>Whether a block is run by a program that has a window.</summary>
    private static bool InWindow(CpuState* cpu, CodeBlock block) => cpu->Window != 0 && (block.Mode & CpuMode.User) != 0;

    /// <summary>Whether a block without the window is to be entered by the dispatcher, which counts how often, where a program has one.</summary>
    private bool CountsForWindow(CodeBlock block) => CanBeWindowed(block) && (block.Windowed?.Executions ?? 0) < EnoughEntries;

    private static bool CanBeWindowed(CodeBlock block)
    {
        const CpuMode Needed = CpuMode.User | CpuMode.Flat;
        return block.Region is not null && !block.ShunsWindow && (block.Mode & (Needed | CpuMode.Apart | CpuMode.Window)) == Needed;
    }

    /// <summary>Has the program that runs go by the window from now on, if it has run for long enough.</summary>
    private void ConsiderWindow(CpuState* cpu)
    {
        if (_policy.Windows == WindowUse.Never || _refusedMaps >= MostRefusedMaps || _platform.WindowedTlb(cpu) is not { } tlb)
        {
            return;
        }

        _attended = true;
        if (cpu->Window == 0)
        {
            _platform.ResumeWindow(cpu, _policy.Windows == WindowUse.Always);
        }

        if (cpu->Window != 0)
        {
            LookAtCost(cpu);
            return;
        }

        if ((_policy.Windows == WindowUse.WhenSettled && _platform.WindowSpaces?.IsSettled(cpu) != true) || !FaultExits.IsSupported)
        {
            return;
        }

        _platform.WindowSpaces?.MakeRoom(cpu);
        tlb.Window ??= AddressWindow.Create();
        if (tlb.Window is not { } window)
        {
            _refusedMaps = MostRefusedMaps;
            return;
        }

        window.IsUsed = true;
        cpu->Window = window.Base;
    }

    /// <summary>The block by the window of one that has a region, once it has been entered a few times and compiled; the block itself otherwise.</summary>
    private CodeBlock Windowed(CodeBlock block)
    {
        if (!CanBeWindowed(block))
        {
            return block;
        }

        CodeBlock windowed = block.Windowed ?? PairUp(block);
        if (windowed.Function == 0)
        {
            windowed.Executions += _attended ? FoundAtRandom : 1;
            if (windowed.Executions >= EnoughEntries && (_policy.Windows == WindowUse.Always || IsWindowedCompilationCheap))
            {
                MakeWindowed(windowed, block.Region!);
            }
        }

        _attended = false;

        return windowed.Function != 0 ? windowed : block;
    }

    private CodeBlock PairUp(CodeBlock block)
    {
        CodeBlock windowed = _cache.Get(block.Host, block.Eip, block.Mode | CpuMode.Window);
        windowed.Plain = block;
        return block.Windowed = windowed;
    }

    private void MakeWindowed(CodeBlock windowed, Translation plain)
    {
        // Its entry is the region's, and this need not be that.
        uint eip = plain.Shape.Entry;
        CodeBlock entry = _cache.Get(plain.HostOf(eip), eip, windowed.Mode);
        if (entry.RegionPending || TryTakeOver(windowed, 0))
        {
            return;
        }

        _cpu->Doing = (int)ProcessorActivity.Compiling;
        Translation translation = _compiler.BuildWindowed(plain);
        if (!(_policy.Store is not { } store || TryClaim(store, translation)) || !Compile(entry, translation, _queue is not null))
        {
            // Another processor makes it, or too many wait.
            windowed.Executions = -EntriesUntilAgain;
        }

        _cpu->Doing = (int)ProcessorActivity.Dispatching;
    }

    /// <summary>An access to a page that the window doesn't have: it is made otherwise, and the page mapped if it can be.</summary>
    /// <returns>See <see cref="RunTranslated"/>.</returns>
    private bool OnWindowMiss(CpuState* cpu, in ExitSite site, Translation translation)
    {
        _platform.WindowedTlb(cpu)?.Window?.Spend(MissCost);
        if (++_misses % MissesUntilLook == 0)
        {
            LookAtCost(cpu);
        }

        uint first = site.Memory.Linear(cpu), last = first + site.Memory.Size - 1u;
        bool goesOn = InterpretOne(cpu);
        if (goesOn && cpu->Window != 0 && !(TryMap(cpu, first >> 12, site.Memory.Write) && (first >> 12 == last >> 12 || TryMap(cpu, last >> 12, site.Memory.Write))))
        {
            // Reckoned by the place, which code that is written to all the time comes back to in ever new translations.
            CodeBlock entry = _cache.Get(translation.HostOf(translation.Shape.Entry), translation.Shape.Entry, translation.Shape.Mode);
            if (++entry.VainAccesses >= MostVainAccesses)
            {
                ShunWindow(translation);
            }
        }

        return goesOn;
    }

    /// <summary>A program that reaches for more pages than can be mapped, or whose pages come and go all the time, is better off without a window.</summary>
    private void LookAtCost(CpuState* cpu)
    {
        if (_policy.Windows == WindowUse.WhenSettled && _platform is { WindowSpaces: { } spaces } && _platform.WindowedTlb(cpu)?.Window is { } window && ((!AddressWindow.HasRoom && !spaces.TryFreePages()) || !spaces.Pays(cpu, window)))
        {
            cpu->Window = 0;
            spaces.Unsettle(cpu, window);
        }
    }

    private bool TryMap(CpuState* cpu, uint page, bool write)
    {
        if (_platform.WindowedTlb(cpu) is not { Window: { } window } tlb || tlb.Entry(page, MemoryAccess.Read, user: true) == 0
            || (write && tlb.Entry(page, MemoryAccess.Write, user: true) == 0))
        {
            return false;
        }

        // That there is no room isn't the code's fault. What it costs is looked at soon.
        bool isRoomManaged = _policy.Windows == WindowUse.WhenSettled && _platform.WindowSpaces is not null;
        if (isRoomManaged && !AddressWindow.HasRoom && !_platform.WindowSpaces!.TryFreePages())
        {
            return true;
        }

        _platform.WindowSpaces?.LookAround(cpu, page);
        if (window.TryMap(tlb, page) || (isRoomManaged && !AddressWindow.HasRoom))
        {
            return true;
        }

        if (++_refusedMaps >= MostRefusedMaps)
        {
            cpu->Window = 0;
            window.Retire();
        }

        return false;
    }

    /// <summary>Ends a translation that goes by the window, and has the blocks that lead to it do without one.</summary>
    private void ShunWindow(Translation translation)
    {
        CpuMode plain = translation.Shape.Mode & ~CpuMode.Window;
        foreach (uint eip in translation.Shape.Entries)
        {
            if (_cache.Find(translation.HostOf(eip), eip, plain) is { } block)
            {
                block.ShunsWindow = true;
            }
        }

        _compiler.Abandon(translation);
        _cache.Drop(translation);
    }
}
