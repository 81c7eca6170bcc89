using Dbt.Runtime.Memory;

namespace Dbt.Tests.Xen.Memory;

public sealed class FrameAllocatorTests
{
    [Fact]
    public void BlocksAreAlignedAndMerged()
    {
        using var machine = new MachineMemory(4096 * 4096);
        var taken = new List<uint>();
        while (machine.TryAllocate(out uint mfn))
        {
            Assert.NotEqual(0u, mfn);
            taken.Add(mfn);
        }

        Assert.Equal(4095, taken.Count);
        Assert.Equal(4095, taken.Distinct().Count());
        Assert.False(machine.TryAllocateContiguous(0, out _));
        foreach (uint mfn in taken.OrderBy(mfn => (mfn * 2654435761u) & 0xFFFF))
        {
            machine.Free(mfn);
        }

        // Frame 0 is never there, so that the largest blocks are the powers of two above it.
        for (int order = 11; order >= 0; order--)
        {
            Assert.True(machine.TryAllocateContiguous(order, out uint mfn));
            Assert.Equal(0u, mfn & ((1u << order) - 1));
            Assert.NotEqual(0u, mfn);
        }

        Assert.False(machine.TryAllocate(out _));
    }

    [Fact]
    public void FramesBelowALimit()
    {
        using var machine = new MachineMemory(4096 * 1024);
        Assert.True(machine.TryAllocateContiguous(8, 1024, out uint high));
        Assert.Equal(256u, high);
        Assert.True(machine.TryAllocateContiguous(0, 4, out uint low));
        Assert.InRange(low, 1u, 3u);
        Assert.True(machine.TryAllocateContiguous(1, 4, out uint pair));
        Assert.Equal(2u, pair);
        Assert.False(machine.TryAllocateContiguous(0, 4, out _));
        Assert.False(machine.TryAllocateContiguous(MachineMemory.MaxOrder + 1, out _));
        Assert.False(machine.TryAllocateContiguous(-1, out _));
    }

    [Fact]
    public unsafe void AFreedFrameReadsAsZero()
    {
        using var machine = new MachineMemory(4096 * 64);
        Assert.True(machine.TryAllocate(out uint mfn));
        *(ulong*)machine.Frame(mfn) = 5;
        machine.Free(mfn);
        Assert.True(machine.TryAllocate(out uint again));
        Assert.Equal((mfn, 0ul), (again, *(ulong*)machine.Frame(again)));
    }
}
