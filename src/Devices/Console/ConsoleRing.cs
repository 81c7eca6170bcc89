namespace Dbt.Devices.Console;

/// <summary>
/// The console's ring (public/io/console.h, struct xencons_interface): input of 1024 bytes at 0, output of 2048 at 1024, then the
/// indices. All four indices are fetched from the page each time, as Xen's daemon does, so that a guest may start the ring anew.
/// </summary>
/// <param name="page">The shared page.</param>
internal sealed class ConsoleRing(ISharedPage page)
{
    /// <summary>Bytes of the two rings.</summary>
    public const int InputSize = 1024, OutputSize = 2048;

    private const int Input = 0, Output = 1024;
    private const int InputConsumer = 3072, InputProducer = 3076, OutputConsumer = 3080, OutputProducer = 3084;

    /// <summary>Set when the guest's indices made no sense; such a ring counts as empty, or full.</summary>
    public bool WasCorrupt { get; private set; }

    /// <summary>Copies what the guest wrote, without giving the room back to the guest yet.</summary>
    /// <returns>Number of bytes.</returns>
    public int Peek(Span<byte> destination)
    {
        uint consumer = page.Read32(OutputConsumer);
        uint used = page.Read32(OutputProducer) - consumer;
        if (used > OutputSize)
        {
            WasCorrupt = true;
            return 0;
        }

        int count = Math.Min((int)used, destination.Length);
        page.ReadRing(Output, OutputSize, consumer, destination[..count]);
        return count;
    }

    /// <summary>Gives room back to the guest: <paramref name="count"/> bytes that <see cref="Peek"/> gave were taken.</summary>
    public void Consume(int count) => page.Write32(OutputConsumer, page.Read32(OutputConsumer) + (uint)count);

    /// <summary>Whether the guest has taken all input that it was given.</summary>
    public bool IsInputTaken => page.Read32(InputProducer) == page.Read32(InputConsumer);

    /// <summary>Offers input to the guest.</summary>
    /// <returns>Bytes that had room.</returns>
    public int Offer(ReadOnlySpan<byte> source)
    {
        uint producer = page.Read32(InputProducer);
        uint used = producer - page.Read32(InputConsumer);
        if (used > InputSize)
        {
            WasCorrupt = true;
            return 0;
        }

        int count = Math.Min(InputSize - (int)used, source.Length);
        if (count > 0)
        {
            page.WriteRing(Input, InputSize, producer, source[..count]);
            page.Write32(InputProducer, producer + (uint)count);
        }

        return count;
    }
}
