using CsCheck;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Nat;

namespace Dbt.Tests.Devices.Nat;

/// <summary>The user network's queues and buffers, each against a plain model.</summary>
public sealed class NatPartsTests
{
    [Fact]
    public void TimersExpireInOrderAndOnce() => Gen.Select(Gen.Int[0, 15], Gen.Int[0, 100], Gen.Int[0, 9]).Array[1, 200].Repeat(
        steps =>
        {
            var queue = new TimerQueue();
            var due = new long?[16];
            var expired = new List<int>();
            NatTimer[] timers = [.. Enumerable.Range(0, 16).Select(i => new NatTimer(() => expired.Add(i)))];
            long now = 0;
            foreach ((int index, int delay, int kind) in steps)
            {
                switch (kind)
                {
                    case < 6:
                        queue.Set(timers[index], now + delay);
                        due[index] = now + delay;
                        break;
                    case < 8:
                        queue.Cancel(timers[index]);
                        due[index] = null;
                        break;
                    default:
                        now += delay;
                        queue.Run(now);
                        int[] expected = [.. Enumerable.Range(0, 16).Where(i => due[i] <= now)];
                        Assert.Equal(expected, expired.Order());
                        Array.ForEach(expected, i => due[i] = null);
                        expired.Clear();
                        break;
                }

                Assert.Equal(due.Count(d => d is not null), queue.Count);
                Assert.True(queue.Next <= (due.Min() ?? long.MaxValue));
            }
        },
        iterations: 500);

    [Fact]
    public void ARingKeepsItsBytes() => Gen.Select(Gen.Int[0, 3], Gen.Int[1, 40_000], Gen.Int[0, 20_000]).Array[1, 60].Repeat(
        steps =>
        {
            var pool = new BufferPool(4 << 20);
            var ring = new ByteRing(pool);
            var model = new Queue<byte>();
            byte next = 0;
            foreach ((int kind, int count, int gap) in steps)
            {
                if (kind == 0)
                {
                    int discard = Math.Min(count, ring.Count);
                    for (int i = 0; i < discard;)
                    {
                        int length = discard - i;
                        (byte[] buffer, int place) = ring.Locate(i, ref length);
                        Assert.True(place >= BufferPool.Headroom);
                        for (int j = 0; j < length; j++, i++)
                        {
                            if (model.Dequeue() != buffer[place + j])
                            {
                                Assert.Fail($"byte {i}");
                            }
                        }
                    }

                    if (discard > 0)
                    {
                        ring.Discard(discard);
                    }
                }
                else if (kind == 1)
                {
                    Span<byte> space = ring.Reserve(count);
                    for (int i = 0; i < space.Length; i++)
                    {
                        space[i] = next;
                        model.Enqueue(next++);
                    }

                    ring.Commit(space.Length);
                }
                else
                {
                    // Behind a gap first, then the gap: all of it is there then.
                    var data = new byte[gap + count];
                    for (int i = 0; i < data.Length; i++)
                    {
                        data[i] = (byte)(next + i);
                    }

                    if (ring.Count + data.Length > 512 << 10)
                    {
                        continue;
                    }

                    Assert.Equal(count, ring.WriteAhead(gap, data.AsSpan(gap)));
                    Assert.Equal(gap, ring.WriteAhead(0, data.AsSpan(0, gap)));
                    ring.Commit(data.Length);
                    next += (byte)data.Length;
                    Array.ForEach(data, model.Enqueue);
                }

                Assert.Equal(model.Count, ring.Count);
            }

            ring.Clear();
            Assert.Equal(0, pool.Used);
        },
        iterations: 60);

    [Fact]
    public void LargeBuffersAreBounded()
    {
        var pool = new BufferPool(1 << 20);
        byte[][] rented = [.. Enumerable.Range(0, 10).Select(_ => pool.Rent(400_000))];
        Assert.Equal(2, rented.Count(b => b.Length > 500_000));
        Assert.True(pool.Used <= 1 << 20);
        Array.ForEach(rented, pool.Return);
        Assert.Equal(0, pool.Used);
    }

    [Fact]
    public void FramesComeOutAsTheyWentIn() => Gen.Select(Gen.Bool, Gen.Int[0, 3000], Gen.UShort).Array[1, 300].Repeat(
        steps =>
        {
            var queue = new FrameQueue(16 << 10);
            var model = new Queue<(byte[] Frame, FrameOffload Offload)>();
            bool refused = false;
            foreach ((bool add, int length, ushort tag) in steps)
            {
                if (add)
                {
                    byte[] frame = new byte[length];
                    new Random(length).NextBytes(frame);
                    var offload = new FrameOffload((tag & 1) != 0, (tag & 2) != 0, (SegmentationKind)(tag % 3), tag);
                    if (queue.TryAdd(frame, offload))
                    {
                        model.Enqueue((frame, offload));
                    }
                    else
                    {
                        refused = true;
                        Assert.NotEmpty(model);
                    }
                }
                else if (queue.TryPeek(out ReadOnlySpan<byte> frame, out FrameOffload offload))
                {
                    (byte[] expected, FrameOffload expectedOffload) = model.Dequeue();
                    Assert.True(frame.SequenceEqual(expected));
                    Assert.Equal(expectedOffload, offload);
                    queue.Remove();
                }

                Assert.Equal(model.Count > 0, queue.HasFrames);
            }

            while (queue.TryPeek(out _, out _))
            {
                queue.Remove();
            }

            Assert.Equal(refused, queue.HasRoomAgain());
            Assert.False(queue.HasRoomAgain());
        },
        iterations: 200);
}
