namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Memory for what is under way: 16, 64 and 512 KiB. The small ones are always had, as connections are bounded; what the larger ones take
/// together is bounded here, so a guest that opens a thousand connections and reads none gets slow, and the host no smaller.
/// </summary>
/// <param name="most">Bytes of all larger buffers together.</param>
internal sealed class BufferPool(long most)
{
    /// <summary>Room in front of each buffer's bytes, for headers.</summary>
    public const int Headroom = GuestLink.MostHeaders;

    /// <summary>Sizes, without headroom.</summary>
    public static readonly int[] Sizes = [16 << 10, 64 << 10, 512 << 10];

    private const int MostKept = 8;
    private readonly Stack<byte[]>[] _free = [new(), new(), new()];

    /// <summary>Bytes that larger buffers take at the moment.</summary>
    public long Used { get; private set; }

    /// <summary>A buffer of a size, or of the largest below that can be had.</summary>
    public byte[] Rent(int size)
    {
        int index = Sizes.Length - 1;
        while (index > 0 && (Sizes[index - 1] >= size || Used + Sizes[index] > most))
        {
            index--;
        }

        Used += index == 0 ? 0 : Sizes[index];
        return _free[index].TryPop(out byte[]? buffer) ? buffer : GC.AllocateUninitializedArray<byte>(Headroom + Sizes[index]);
    }

    /// <summary>Gives a buffer back.</summary>
    public void Return(byte[] buffer)
    {
        int index = Array.IndexOf(Sizes, buffer.Length - Headroom);
        Used -= index == 0 ? 0 : Sizes[index];
        if (_free[index].Count < MostKept)
        {
            _free[index].Push(buffer);
        }
    }
}
