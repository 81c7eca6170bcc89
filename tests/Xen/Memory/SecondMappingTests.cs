using Dbt.Runtime.Memory;
using Dbt.Tests.Translator;
using Dbt.Translator.Memory;

namespace Dbt.Tests.Xen.Memory;

/// <summary>Frames that a guest has in its <see cref="AddressWindow"/> too are the same there and here: what is written, what was given back, and who has touched them.</summary>
public sealed unsafe class SecondMappingTests
{
    private const uint First = 0x1234, Count = 64;

    [X64Fact]
    public void AFrameGivenBackIsZeroInBothPlacesWhenItIsTakenAgain()
    {
        using var machine = new MachineMemory(16 << 20);
        using SoftwareTlb tlb = Tlb();
        for (int round = 0; round < 3; round++)
        {
            foreach (bool byRuns in (bool[])[false, true])
            {
                uint[] mfns = [.. Enumerable.Range(0, (int)Count).Select(_ => machine.TryAllocate(out uint mfn) ? mfn : throw new InvalidOperationException("full"))];
                for (uint i = 0; i < Count; i++)
                {
                    Map(tlb, machine, First + i, mfns[i]);
                    Assert.Equal(0u, Word(tlb, First + i));
                    Assert.Equal(0u, *(uint*)machine.Frame(mfns[i]));
                    Word(tlb, First + i) = i + 1;
                    Assert.Equal(i + 1, *(uint*)machine.Frame(mfns[i]));
                }

                using (byRuns ? machine.FreeByRuns() : null)
                {
                    Array.ForEach(mfns, machine.Free);
                }

                // Even who would still have it mapped, which nobody may, doesn't bring anything back.
                for (uint i = 0; i < Count; i++)
                {
                    Assert.Equal(0u, Word(tlb, First + i));
                    Assert.Equal(0u, *(uint*)machine.Frame(mfns[i]));
                    tlb.Drop(First + i);
                }

                Assert.Equal(0, tlb.Window!.Pages.Length);
            }
        }
    }

    [X64Fact]
    public void FramesTouchedThroughAWindowAreNotUntouched()
    {
        using var machine = new MachineMemory(64 << 20);
        using SoftwareTlb tlb = Tlb();
        Assert.True(machine.TryAllocateContiguous(12, out uint first));
        var random = new Random(1);
        HashSet<uint> written = [.. Enumerable.Range(0, 100).Select(_ => (uint)random.Next(1 << 12))];
        foreach (uint i in written)
        {
            Map(tlb, machine, First + i, first + i);
            Word(tlb, First + i) = 1;
        }

        UntouchedFrames untouched = machine.FindUntouched();
        Assert.DoesNotContain(written, i => untouched.Contains(first + i));
        tlb.Clear();
        untouched = machine.FindUntouched();
        Assert.DoesNotContain(written, i => untouched.Contains(first + i));
        Assert.All(written, i => Assert.Equal(1u, *(uint*)machine.Frame(first + i)));
    }

    /// <summary>Private memory, as clones have, can't be had twice; the place in the window stays the window's, with nothing in it.</summary>
    [X64Fact]
    public void FramesOfAFileAreRefused()
    {
        using var machine = new MachineMemory(16 << 20);
        using var file = new MemoryFile(16 << 12);
        using SoftwareTlb tlb = Tlb();
        Assert.True(machine.TryAllocateMapped(file, 0, 16, out uint first));
        tlb.Set(First, MemoryAccess.Read, user: true, machine.Frame(first));
        Assert.False(tlb.Window!.TryMap(tlb, First));
        Assert.Equal(0, tlb.Window.Pages.Length);
        Assert.True(IsReserved(tlb, First));

        // Frames that began so and were given back are the machine's own again.
        for (uint i = 0; i < 16; i++)
        {
            machine.Free(first + i);
        }

        Assert.True(machine.TryAllocateGiven(first));
        Map(tlb, machine, First, first);
        Word(tlb, First) = 7;
        Assert.Equal(7u, *(uint*)machine.Frame(first));
    }

    /// <summary>Else another thread's memory could come to lie in the middle of a window.</summary>
    [X64Fact]
    public void WhatIsRefusedLeavesThePlaceAsItWas()
    {
        byte* place = HostMemory.ReserveAddresses(3 * 4096);
        byte* memory = HostMemory.Reserve(4096);
        *memory = 1;
        Assert.False(HostMemory.TryMapAgain(place + 4096, memory, 4096, write: true));
        bool reserved = IsReserved((ulong)place + 4096);
        HostMemory.Release(place, 3 * 4096);
        HostMemory.Release(memory, 4096);
        Assert.True(reserved);
    }

    [X64Fact]
    public void APageGoesWithItsEntry()
    {
        using var machine = new MachineMemory(16 << 20);
        using SoftwareTlb tlb = Tlb();
        Assert.True(machine.TryAllocate(out uint mfn));
        Assert.True(machine.TryAllocate(out uint other));
        Action<uint>[] drops =
        [
            tlb.Drop, tlb.DropWrite, page => tlb.DropRange(page - 3, 5), _ => tlb.ClearLocal(), _ => tlb.Clear(), _ => tlb.DropWrites(), _ => tlb.DropWritesTo(machine.Frame(mfn)),
            page => tlb.Set(page, MemoryAccess.Read, user: true, machine.Frame(other)),
        ];
        foreach (Action<uint> drop in drops)
        {
            Map(tlb, machine, First, mfn);
            Assert.Equal(1, tlb.Window!.Pages.Length);
            Assert.False(IsReserved(tlb, First));
            drop(First);
            Assert.Equal(0, tlb.Window.Pages.Length);
            Assert.True(IsReserved(tlb, First));
            tlb.Clear();
        }
    }

    private static SoftwareTlb Tlb() => new() { Window = AddressWindow.Create() };

    private static ref uint Word(SoftwareTlb tlb, uint page) => ref *(uint*)(tlb.Window!.Base + ((nint)page << 12));

    private static void Map(SoftwareTlb tlb, MachineMemory machine, uint page, uint mfn)
    {
        tlb.Set(page, MemoryAccess.Read, user: true, machine.Frame(mfn));
        tlb.Set(page, MemoryAccess.Write, user: true, machine.Frame(mfn));
        Assert.True(tlb.Window!.TryMap(tlb, page));
    }

    /// <summary>Whether the host has no rights, but the address, at a page of a window.</summary>
    private static bool IsReserved(SoftwareTlb tlb, uint page) => IsReserved((ulong)tlb.Window!.Base + ((ulong)page << 12));

    private static bool IsReserved(ulong at)
    {
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            string[] parts = line.Split(' ', 3);
            ulong[] ends = [.. parts[0].Split('-').Select(static end => Convert.ToUInt64(end, 16))];
            if (at >= ends[0] && at < ends[1])
            {
                return parts[1].StartsWith("---", StringComparison.Ordinal);
            }
        }

        return false;
    }
}
