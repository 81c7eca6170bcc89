using Dbt.Translator.Memory;

namespace Dbt.Tests.Translator;

/// <summary>Memory straight from the host.</summary>
public sealed unsafe class HostMemoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void HugeReservationsBeginAtAHugePageAndAreZeroToTheirEnd(int pages)
    {
        nuint bytes = (nuint)pages * HostMemory.HugePageBytes;
        byte* memory = HostMemory.ReserveHuge(bytes);
        try
        {
            Assert.Equal(0u, (uint)memory & (HostMemory.HugePageBytes - 1));
            Assert.Equal(-1, new ReadOnlySpan<byte>(memory, (int)bytes).IndexOfAnyExcept((byte)0));
            (memory[0], memory[bytes - 1]) = (1, 2);
            Assert.Equal((1, 2), (memory[0], memory[bytes - 1]));
        }
        finally
        {
            HostMemory.Release(memory, bytes);
        }
    }
}
