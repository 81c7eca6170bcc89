using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Migration;

/// <summary>
/// <c>migrate --peer</c>: connects to a guest's <c>probe stream</c>, and checks that each word that comes is the one before and one more. For each line
/// on standard input it says how long the longest pause between two arrivals was since the last one (microseconds), and how many bytes came in all.
/// </summary>
internal static class MigrationPeer
{
    /// <summary>Runs it.</summary>
    /// <exception cref="BootFailure">The stream ended, or is not what was sent.</exception>
    public static void Run(string address)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(IPEndPoint.Parse(address));
        var gate = new Lock();
        long total = 0, longest = 0;
        new Thread(Answer) { IsBackground = true }.Start();
        byte[] buffer = new byte[1 << 16];
        uint expected = 0;
        int kept = 0;
        for (long last = Stopwatch.GetTimestamp(); ;)
        {
            int count = socket.Receive(buffer, kept, buffer.Length - kept, SocketFlags.None);
            long now = Stopwatch.GetTimestamp();
            if (count == 0)
            {
                throw new BootFailure(string.Create(CultureInfo.InvariantCulture, $"the stream ended after {total} bytes"));
            }

            lock (gate)
            {
                longest = Math.Max(longest, (long)Stopwatch.GetElapsedTime(last, now).TotalMicroseconds);
                total += count;
            }

            last = now;
            int have = kept + count, at = 0;
            for (; at + sizeof(uint) <= have; at += sizeof(uint))
            {
                uint word = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(at));
                if (word != expected++)
                {
                    throw new BootFailure(string.Create(CultureInfo.InvariantCulture, $"word {expected - 1} of the stream is {word}"));
                }
            }

            kept = have - at;
            buffer.AsSpan(at, kept).CopyTo(buffer);
        }

        void Answer()
        {
            while (Console.In.ReadLine() is not null)
            {
                lock (gate)
                {
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{longest} {total}"));
                    longest = 0;
                }
            }

            Environment.Exit(0);
        }
    }
}
