using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>Programs that reach memory by the address window: when they do, which code they run then, and what isn't in the window.</summary>
internal sealed unsafe partial class Dispatcher
{
    // How often code with a region is entered in the window before it gets one that goes by it.
    private const int EntriesUntilWindowed = 4, EntriesUntilAgain = 1000;

    // How often code may reach for what the window can't have: pages with code that are written to, devices, addresses that go around.
    private const int MostVainAccesses = 32;

    // How often it may fail to map anything before it is left.
    private const int MostRefusedMaps = 64;

    // What a miss must be worth: so many instructions between two of them, as it takes the host ten to twenty microseconds; but for the first ones. Looked at after so many.
    private const ulong InstructionsPerMiss = 100_000, FirstMisses = 1024;
    private const int MissesUntilLook = 64;

    private int _refusedMaps, _misses;
    private ulong _missesSince;

    private static bool IsWindowed(CodeBlock block) => (block.Mode & CpuMode.Window) != 0;

    /// <summary>Has the program that runs go by the window from now on, if it has run for long enough.</summary>
    private void ConsiderWindow(CpuState* cpu)
    {
        if (_policy.Windows == WindowUse.Never || _refusedMaps >= MostRefusedMaps || cpu->Window != 0 || _platform.WindowedTlb(cpu) is not { } tlb)
        {
            return;
        }

        if ((_policy.Windows == WindowUse.WhenSettled && !_platform.IsSettled(cpu)) || !FaultExits.IsSupported)
        {
            return;
        }

        if (tlb.Window is null)
        {
            _platform.MakeRoomForWindow();
            tlb.Window = AddressWindow.Create();
        }

        (_misses, _missesSince) = (0, Retired(cpu));
        cpu->Window = tlb.Window?.Base ?? 0;
        _refusedMaps += tlb.Window is null ? MostRefusedMaps : 0;
    }

    /// <summary>The block by the window of one that has a region, once it has been entered a few times and compiled; the block itself otherwise.</summary>
    private CodeBlock Windowed(CodeBlock block)
    {
        const CpuMode Needed = CpuMode.User | CpuMode.Flat;
        if (block.Region is null || block.ShunsWindow || (block.Mode & (Needed | CpuMode.Apart | CpuMode.Window)) != Needed)
        {
            return block;
        }

        CodeBlock windowed = block.Windowed ??= _cache.Get(block.Host, block.Eip, block.Mode | CpuMode.Window);
        if (windowed.Function == 0 && ++windowed.Executions >= (_policy.Windows == WindowUse.Always ? 1 : EntriesUntilWindowed))
        {
            windowed.Executions = 0;
            MakeWindowed(windowed, block.Region);
        }

        return windowed.Function != 0 ? windowed : block;
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
        if (++_misses % MissesUntilLook == 0)
        {
            LookAtMisses(cpu);
        }

        uint first = site.Memory.Linear(cpu), last = first + site.Memory.Size - 1u;
        bool goesOn = InterpretOne(cpu);
        if (goesOn && cpu->Window != 0 && !(TryMap(cpu, first >> 12, site.Memory.Write) && (first >> 12 == last >> 12 || TryMap(cpu, last >> 12, site.Memory.Write))) && ++translation.VainAccesses >= MostVainAccesses)
        {
            ShunWindow(translation);
        }

        return goesOn;
    }

    /// <summary>A program that reaches for more pages than can be mapped, or for other ones all the time, is better off without a window.</summary>
    private void LookAtMisses(CpuState* cpu)
    {
        if (_policy.Windows == WindowUse.WhenSettled && (!AddressWindow.HasRoom || (ulong)_misses > FirstMisses + ((Retired(cpu) - _missesSince) / InstructionsPerMiss)))
        {
            cpu->Window = 0;
            _platform.WindowedTlb(cpu)?.Window?.Clear();
            _platform.Unsettle(cpu);
        }
    }

    private static ulong Retired(CpuState* cpu) => cpu->RetiredInterpreted + cpu->RetiredQuick + cpu->RetiredOptimized;

    private bool TryMap(CpuState* cpu, uint page, bool write)
    {
        if (_platform.WindowedTlb(cpu) is not { Window: { } window } tlb || tlb.Entry(page, MemoryAccess.Read, user: true) == 0
            || (write && tlb.Entry(page, MemoryAccess.Write, user: true) == 0))
        {
            return false;
        }

        _platform.LookAround(cpu, page);
        if (window.TryMap(tlb, page))
        {
            return true;
        }

        if (++_refusedMaps >= MostRefusedMaps)
        {
            cpu->Window = 0;
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
