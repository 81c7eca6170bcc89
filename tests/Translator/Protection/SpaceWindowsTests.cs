using System.Globalization;
using Dbt.Runtime.Memory;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Protection;

/// <summary>Whose the windows of a processor's address spaces are, and that the host gets back those that are nobody's.</summary>
public sealed unsafe class SpaceWindowsTests
{
    [X64Fact]
    public void ASpaceGetsItsOwnWindowBack()
    {
        CpuState* cpu = CpuState.Allocate();
        using var spaces = new SpaceWindows(static (_, _) => { }, static () => false);
        using AddressWindow first = AddressWindow.Create()!, second = AddressWindow.Create()!;
        Assert.Null(Enter(1, null));
        Assert.Null(Enter(2, first));
        Assert.Same(first, Enter(1, second));
        Assert.Same(second, Enter(2, first));
        Assert.Same(second, Enter(2, second));
        Assert.Same(first, Enter(1, null));
        Assert.Null(Enter(2, first));
        CpuState.Free(cpu);

        AddressWindow? Enter(uint space, AddressWindow? left)
        {
            cpu->Cr3 = space;
            return spaces.Switch(cpu, left);
        }
    }

    [X64Fact]
    public void AWindowThatCostsMoreThanItSavesIsGivenUp()
    {
        const ulong Settled = 300_000_000;
        bool logged = false;
        CpuState* cpu = CpuState.Allocate();
        using var spaces = new SpaceWindows(static (_, _) => { }, () => logged);
        cpu->Cr3 = 0x1000;
        Assert.Null(spaces.Switch(cpu, null));
        cpu->RetiredOptimized = Settled - 1;
        Assert.False(spaces.IsSettled(cpu));
        cpu->RetiredInterpreted = 1;
        Assert.True(spaces.IsSettled(cpu));

        // While every first write to a page is to be told of, nobody has one.
        logged = true;
        Assert.False(spaces.IsSettled(cpu));
        logged = false;

        spaces.MakeRoom(cpu);
        using AddressWindow window = AddressWindow.Create()!;
        window.IsUsed = true;
        window.Spend(5_000_000 + (Settled / 4));
        Assert.True(spaces.Pays(cpu, window));
        logged = true;
        Assert.False(spaces.Pays(cpu, window));
        logged = false;
        window.Spend(25_000_000);
        Assert.False(spaces.Pays(cpu, window));
        cpu->RetiredOptimized += 100_000_000;
        Assert.True(spaces.Pays(cpu, window));

        // Instructions of another space don't count.
        cpu->Cr3 = 0x2000;
        Assert.Null(spaces.Switch(cpu, window));
        cpu->RetiredOptimized += Settled;
        cpu->Cr3 = 0x1000;
        Assert.Same(window, spaces.Switch(cpu, null));
        Assert.True(window.IsUsed);
        window.Spend(1);
        Assert.False(spaces.Pays(cpu, window));

        // It has to run eight times as long now, and doesn't get it back by a switch.
        spaces.Unsettle(cpu, window);
        Assert.Equal((false, 0ul), (window.IsUsed, window.Cost));
        Assert.Same(window, spaces.Switch(cpu, window));
        Assert.False(window.IsUsed);
        cpu->RetiredOptimized += (8 * Settled) - 1;
        Assert.False(spaces.IsSettled(cpu));
        cpu->RetiredOptimized++;
        Assert.True(spaces.IsSettled(cpu));
        CpuState.Free(cpu);
    }

    [X64Fact]
    public void WhatAWindowCostCountsWhenAnotherHasTakenItsPages()
    {
        const ulong Settled = 300_000_000, Credit = 5_000_000 + (Settled / 4);
        CpuState* cpu = CpuState.Allocate();
        using var spaces = new SpaceWindows(static (_, _) => { }, static () => false);
        using AddressWindow first = AddressWindow.Create()!, second = AddressWindow.Create()!;
        cpu->Cr3 = 0x1000;
        Assert.Null(spaces.Switch(cpu, null));
        cpu->RetiredOptimized += Settled;
        first.Spend(Credit - 1000);
        Assert.True(spaces.Pays(cpu, first));
        cpu->Cr3 = 0x2000;
        Assert.Null(spaces.Switch(cpu, first));
        Assert.True(spaces.TryFreePages());
        cpu->Cr3 = 0x1000;
        Assert.Null(spaces.Switch(cpu, null));
        spaces.MakeRoom(cpu);
        second.Spend(1000);
        Assert.True(spaces.Pays(cpu, second));
        second.Spend(1);
        Assert.False(spaces.Pays(cpu, second));

        // Who begins anew has all before him; and who ran for very long and spent nothing may spend a second, not all at once what he has saved.
        spaces.Restart(cpu);
        Assert.False(spaces.IsSettled(cpu));
        using AddressWindow third = AddressWindow.Create()!;
        cpu->RetiredOptimized += 1000 * Settled;
        third.Spend(1);
        Assert.True(spaces.Pays(cpu, third));
        third.Spend(1_000_000_000);
        Assert.True(spaces.Pays(cpu, third));
        third.Spend(1);
        Assert.False(spaces.Pays(cpu, third));
        CpuState.Free(cpu);
    }

    [X64Fact]
    public void AWindowOfManyPagesWaitsUntilItsProgramRunsForLong()
    {
        const uint Pages = 200, Here = 0x1000, There = 0x2000;
        const ulong LongEnough = Pages * 100 * 4;
        bool logged = false;
        CpuState* cpu = CpuState.Allocate();
        using var machine = new MachineMemory(4 << 20);
        using var tlb = new SoftwareTlb();
        using var spaces = new SpaceWindows(static (_, _) => { }, () => logged);
        using AddressWindow window = AddressWindow.Create()!;
        tlb.Window = window;
        for (uint page = 0; page < Pages; page++)
        {
            Assert.True(machine.TryAllocate(out uint mfn));
            tlb.Set(page, MemoryAccess.Read, user: true, machine.Frame(mfn));
            Assert.True(window.TryMap(tlb, page));
        }

        // Believed to run for long, it has its window at once.
        Assert.Null(Enter(Here, null));
        Assert.Null(Enter(There, window));
        Assert.Same(window, Enter(Here, null));

        // Not any more behind many short turns, until one is long.
        AddressWindow? entered = window;
        for (int turn = 0; turn < 40; turn++)
        {
            cpu->RetiredOptimized += LongEnough / 2;
            Assert.Null(Enter(There, entered));
            entered = Enter(Here, null);
        }

        Assert.Null(entered);
        Assert.False(spaces.IsSettled(cpu));
        cpu->RetiredOptimized += LongEnough - 1;
        Assert.Null(spaces.Resume(cpu, always: false));
        cpu->RetiredOptimized++;
        logged = true;
        Assert.Null(spaces.Resume(cpu, always: false));
        logged = false;
        ulong cost = window.Cost;
        Assert.Same(window, spaces.Resume(cpu, always: false));
        Assert.Equal(Pages * 100, window.Cost - cost);
        Assert.Null(spaces.Resume(cpu, always: false));

        // Who waits is asked however short the turn was where that is wanted.
        Assert.Null(Enter(There, window));
        Assert.Null(Enter(Here, null));
        Assert.Same(window, spaces.Resume(cpu, always: true));

        // While first writes are logged it waits too, and its pages would all be gone otherwise.
        Assert.Null(Enter(There, window));
        cpu->RetiredOptimized += 1_000_000_000;
        Assert.Null(Enter(Here, null));
        cpu->RetiredOptimized += 1_000_000_000;
        logged = true;
        Assert.Null(Enter(Here, null));
        logged = false;
        Assert.Same(window, spaces.Resume(cpu, always: true));

        // Its pages can be had for others, but not while it is in force.
        Assert.False(spaces.TryFreePages());
        Assert.Null(Enter(There, window));
        Assert.True(spaces.TryFreePages());
        Assert.True(window.Pages.IsEmpty);
        Assert.False(spaces.TryFreePages());
        Assert.Null(Enter(Here, null));
        CpuState.Free(cpu);

        AddressWindow? Enter(uint space, AddressWindow? left)
        {
            cpu->Cr3 = space;
            return spaces.Switch(cpu, left);
        }
    }

    [X64Fact]
    public void TheHostGetsBackWhatIsNobodys()
    {
        const int Times = 400;
        CpuState* cpu = CpuState.Allocate();
        using var spaces = new SpaceWindows(static (_, _) => { }, static () => false);
        long before = GibibytesOfAddresses();

        // From before the first address space, and of one that was forgotten meanwhile.
        for (int i = 0; i < Times; i++)
        {
            cpu->Cr3 = 0x1000;
            Assert.Null(spaces.Switch(cpu, AddressWindow.Create()!));
            spaces.Clear();
        }

        // More spaces than are kept.
        AddressWindow? window = null;
        for (uint i = 0; i < Times; i++)
        {
            cpu->Cr3 = i << 12;
            Assert.Null(spaces.Switch(cpu, window));
            spaces.MakeRoom(cpu);
            window = AddressWindow.Create();
            Assert.NotNull(window);
        }

        // A window has four; others may make some meanwhile.
        Assert.InRange(GibibytesOfAddresses() - before, long.MinValue, Times / 4 * 4);
        window?.Dispose();
        CpuState.Free(cpu);
    }

    private static long GibibytesOfAddresses() =>
        long.Parse(File.ReadLines("/proc/self/status").First(static line => line.StartsWith("VmSize:", StringComparison.Ordinal)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 20;
}
