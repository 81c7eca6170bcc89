using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>
/// The flush of other processors' TLBs. A changed entry is out of every software TLB at once, but a processor that had just looked an
/// address up may not yet have used it, and its host thread may have lost the host's processor in between. A guest that asks for a
/// flush gives the page away afterwards, so the flush ends only when each processor it names has passed a safe point or is outside.
/// </summary>
internal static class Shootdown
{
    private const int WordBits = 32;

    /// <summary>Flushes the processors of a guest's bitmap, one bit a processor in 32-bit words.</summary>
    /// <returns>0; -EFAULT for a bitmap that can't be read.</returns>
    public static int Masked(Vcpu caller, uint bitmap)
    {
        List<Vcpu> vcpus = caller.Domain.Vcpus;
        Span<uint> words = stackalloc uint[(vcpus.Count + WordBits - 1) / WordBits];
        for (int i = 0; i < words.Length; i++)
        {
            if (!GuestAccess.TryRead(caller, bitmap + ((uint)i * 4), out words[i]))
            {
                return -EFAULT;
            }
        }

        Flush(vcpus, words);
        return 0;
    }

    /// <summary>Flushes all processors of the caller's domain.</summary>
    public static void All(Vcpu caller) => All(caller.Domain);

    /// <summary>Flushes all processors of a domain. Any thread, without locks.</summary>
    public static void All(Domain domain)
    {
        List<Vcpu> vcpus = domain.Vcpus;
        Span<uint> words = stackalloc uint[(vcpus.Count + WordBits - 1) / WordBits];
        words.Fill(uint.MaxValue);
        Flush(vcpus, words);
    }

    private static void Flush(List<Vcpu> vcpus, ReadOnlySpan<uint> named)
    {
        // Between the clearing of the TLBs and looking who is where; Vcpu.Return has the other one.
        Interlocked.MemoryBarrier();
        Vcpu? current = Vcpu.Current;
        Span<long> passed = stackalloc long[vcpus.Count];
        int last = -1;
        for (int i = 0; i < vcpus.Count; i++)
        {
            bool isNamed = (named[i / WordBits] >> (i % WordBits) & 1) != 0;
            passed[i] = isNamed && vcpus[i] != current && !vcpus[i].IsOutside ? vcpus[i].SafePoints : -1;
            if (passed[i] >= 0)
            {
                vcpus[i].Interrupt();
                last = i;
            }
        }

        if (last < 0)
        {
            return;
        }

        // The caller holds no address here. It is outside meanwhile, so that two may wait for each other.
        current?.Leave();
        for (int i = 0; i <= last; i++)
        {
            // A processor comes by within microseconds, unless its host thread isn't running, which gets this one's turn then.
            var spin = default(SpinWait);
            while (passed[i] >= 0 && !vcpus[i].IsOutside && vcpus[i].SafePoints == passed[i])
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }

        current?.Return();
    }
}
