using Dbt.Runtime.Memory;
using Dbt.Translator.Memory;

namespace Dbt.Tests.Xen.Memory;

/// <summary>Frames that nobody has touched, and no other, are left out by who copies memory.</summary>
public sealed unsafe class UntouchedFramesTests
{
    private const int Order = 12, Count = 1 << Order;

    [Fact]
    public void WhatWasWrittenIsNoneOfThem()
    {
        using var machine = new MachineMemory(64 << 20);
        Assert.True(machine.TryAllocateContiguous(Order, out uint first));
        var random = new Random(1);
        HashSet<uint> written = [.. Enumerable.Range(0, 300).Select(_ => first + (uint)random.Next(Count))];
        foreach (uint mfn in written)
        {
            machine.Frame(mfn)[random.Next(4096)] = 1;
        }

        UntouchedFrames untouched = machine.FindUntouched();
        uint[] wrong = [.. Enumerable.Range(0, Count).Select(i => first + (uint)i).Where(mfn => untouched.Contains(mfn) && written.Contains(mfn))];
        Assert.Empty(wrong);

        // A host with huge pages commits neighbours too.
        Assert.True(Enumerable.Range(0, Count).Count(i => untouched.Contains(first + (uint)i)) > 0 || File.ReadAllText("/sys/kernel/mm/transparent_hugepage/enabled").Contains("[always]", StringComparison.Ordinal));
        Assert.False(untouched.Contains(uint.MaxValue));
    }

    [Fact]
    public void FramesOfAFileAreNone()
    {
        using var machine = new MachineMemory(64 << 20);
        using var file = new MemoryFile((nuint)Count << 12);
        Assert.True(machine.TryAllocateMapped(file, 0, Count, out uint first));
        UntouchedFrames untouched = machine.FindUntouched();
        Assert.DoesNotContain(Enumerable.Range(0, Count), i => untouched.Contains(first + (uint)i));
    }
}
