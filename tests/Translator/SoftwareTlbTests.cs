using Dbt.Translator.Memory;

namespace Dbt.Tests.Translator;

/// <summary>What translated code rests on while other threads change the tables.</summary>
public sealed unsafe class SoftwareTlbTests
{
    [Fact]
    public void AGenerationIsNeverZeroForWhoLooksMeanwhile()
    {
        // Zero is what a link has that was never gone through: it would be taken for seen.
        using var tlb = new SoftwareTlb();
        nint root = tlb.Root;
        bool stop = false;
        long zeros = 0;
        var looker = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                for (int half = 0; half < 2; half++)
                {
                    zeros += Volatile.Read(ref *(long*)(root + (half * SoftwareTlb.HalfBytes) + SoftwareTlb.GenerationOffset)) == 0 ? 1 : 0;
                }
            }
        });
        looker.Start();
        long before = *(long*)(root + SoftwareTlb.GenerationOffset);
        for (int i = 0; i < 3000; i++)
        {
            tlb.Release();
        }

        Volatile.Write(ref stop, true);
        looker.Join();
        Assert.Equal(0, zeros);
        Assert.NotEqual(before, *(long*)(root + SoftwareTlb.GenerationOffset));
        Assert.Equal(*(long*)(root + SoftwareTlb.GenerationOffset), *(long*)(root + SoftwareTlb.HalfBytes + SoftwareTlb.GenerationOffset));
    }
}
