using System.Buffers.Binary;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Offload;

namespace Dbt.Tests.Devices.Network;

/// <summary>What is left undone in a frame is done for an end that doesn't take it.</summary>
public sealed class FrameAdapterTests
{
    private readonly FakeCable _end = new();
    private readonly FrameAdapter _adapter = new();
    private int _sent;

    [Theory]
    [InlineData(false, true, 0)]
    [InlineData(false, true, 1)]
    [InlineData(false, false, 1401)]
    [InlineData(true, true, 1400)]
    [InlineData(true, false, 7)]
    public void ABlankChecksumIsCompleted(bool v6, bool tcp, int payload)
    {
        _end.Features = default;
        Assert.True(_adapter.Send(_end, TestFrames.Transport(payload, v6, tcp, blank: true), new FrameOffload(true, true), ref _sent));
        (byte[] frame, FrameOffload offload) = _end.Take();
        Assert.Equal(TestFrames.Transport(payload, v6, tcp), frame);
        Assert.True(TestFrames.IsRight(frame));
        Assert.Equal(new FrameOffload(DataValidated: true), offload);
    }

    [Fact]
    public void AUdpChecksumIsNeverZero()
    {
        // Two bytes of payload that make the sum all ones.
        byte[] frame = TestFrames.Transport(2, tcp: false, blank: true);
        frame[42] = frame[43] = 0;
        byte[] done = (byte[])frame.Clone();
        Assert.True(FrameHeaders.TryParse(done, out FrameHeaders headers));
        InternetChecksum.Complete(done, headers);
        done.AsSpan(40, 2).CopyTo(frame.AsSpan(42));
        _end.Features = default;
        _adapter.Send(_end, frame, new FrameOffload(true), ref _sent);
        frame = _end.Take().Frame;
        Assert.Equal(0xFFFF, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(40)));
        Assert.True(TestFrames.IsRight(frame));
    }

    [Fact]
    public void WhatTheEndTakesGoesAsItIs()
    {
        byte[] frame = TestFrames.Transport(60_000, blank: true);
        var offload = new FrameOffload(true, true, SegmentationKind.TcpV4, 1000);
        Assert.True(_adapter.Send(_end, frame, offload, ref _sent));
        (byte[] got, FrameOffload told) = _end.Take();
        Assert.Equal(frame, got);
        Assert.Equal(offload, told);
    }

    [Theory]
    [InlineData(false, 65_000, 1448, false)]
    [InlineData(true, 65_000, 1428, false)]
    [InlineData(false, 1448, 1448, false)]
    [InlineData(false, 1449, 1448, true)]
    [InlineData(true, 3000, 1, true)]
    [InlineData(false, 0, 1448, false)]
    public void ALargeFrameIsCut(bool v6, int payload, ushort size, bool takesBlank)
    {
        _end.Features = new LinkFeatures(takesBlank, v6, !v6); // cuts the other kind only
        SegmentationKind kind = v6 ? SegmentationKind.TcpV6 : SegmentationKind.TcpV4;
        byte[] whole = TestFrames.Transport(payload, v6, blank: true, flags: 0x99); // FIN, PSH, ACK, CWR
        Assert.True(_adapter.Send(_end, whole, new FrameOffload(true, true, kind, size), ref _sent));
        int segments = Math.Max(1, (payload + size - 1) / size);
        Assert.Equal(segments, _end.Frames.Count);
        int headers = whole.Length - payload, tcp = v6 ? 54 : 34;
        var data = new List<byte>();
        for (int i = 0; i < segments; i++)
        {
            (byte[] segment, FrameOffload offload) = _end.Take();
            Assert.Equal(new FrameOffload(takesBlank, true), offload);
            if (takesBlank)
            {
                Assert.True(FrameHeaders.TryParse(segment, out FrameHeaders found));
                InternetChecksum.Complete(segment, found);
            }

            Assert.True(TestFrames.IsRight(segment), $"segment {i}");
            Assert.Equal(unchecked(0xFFFF_FF00u + (uint)(i * size)), BinaryPrimitives.ReadUInt32BigEndian(segment.AsSpan(tcp + 4)));
            Assert.Equal((i == segments - 1 ? 0x09 : 0) | (i == 0 ? 0x80 : 0) | 0x10, segment[tcp + 13]);
            if (!v6)
            {
                Assert.Equal(unchecked((ushort)(0xFFFE + i)), BinaryPrimitives.ReadUInt16BigEndian(segment.AsSpan(18)));
            }

            data.AddRange(segment[headers..]);
        }

        Assert.Equal(whole[headers..], data);
    }

    [Fact]
    public void ARefusedSegmentIsSentAgain()
    {
        _end.Features = default;
        byte[] whole = TestFrames.Transport(10_000, blank: true);
        var offload = new FrameOffload(true, true, SegmentationKind.TcpV4, 1000);
        _end.Room = 4;
        Assert.False(_adapter.Send(_end, whole, offload, ref _sent));
        Assert.Equal(4000, _sent);
        _end.Room = 3;
        Assert.False(_adapter.Send(_end, whole, offload, ref _sent));
        _end.Room = 100;
        Assert.True(_adapter.Send(_end, whole, offload, ref _sent));
        Assert.Equal(whole[66..], _end.Frames.SelectMany(static frame => frame.Frame[66..]));
    }

    [Fact]
    public void WhatCanNotBeAdaptedIsDropped()
    {
        _end.Features = default;
        Assert.True(_adapter.Send(_end, TestFrames.Plain(TestFrames.A, TestFrames.B), new FrameOffload(true), ref _sent));
        Assert.True(_adapter.Send(_end, TestFrames.Transport(100, tcp: false), new FrameOffload(true, true, SegmentationKind.TcpV4, 10), ref _sent));
        Assert.True(_adapter.Send(_end, TestFrames.Transport(100), new FrameOffload(true, true, SegmentationKind.TcpV4, 0), ref _sent));
        Assert.Empty(_end.Frames);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void HeadersAreFoundBehindTags(int tags)
    {
        byte[] frame = TestFrames.Transport(50, tags: tags);
        Assert.True(FrameHeaders.TryParse(frame, out FrameHeaders headers));
        Assert.Equal((14 + (4 * tags), 34 + (4 * tags), 66 + (4 * tags), frame.Length), (headers.Network, headers.Transport, headers.Payload, headers.End));
    }

    [Fact]
    public void HeadersAreFoundBehindExtensionsOfV6()
    {
        byte[] frame = TestFrames.Transport(50, v6: true);
        byte[] longer = [.. frame[..54], 60, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .. frame[54..]];
        longer[20] = 0;
        longer[19] += 24;
        Assert.True(FrameHeaders.TryParse(longer, out FrameHeaders headers));
        Assert.Equal((78, true, true), (headers.Transport, headers.IsTcp, headers.IsV6));
    }

    [Fact]
    public void NoCutFrameHasHeaders()
    {
        foreach (byte[] frame in (byte[][])[TestFrames.Transport(0), TestFrames.Transport(0, v6: true), TestFrames.Transport(0, tcp: false), TestFrames.Transport(0, tags: 2)])
        {
            for (int length = 0; length < frame.Length; length++)
            {
                Assert.False(FrameHeaders.TryParse(frame.AsSpan(0, length), out _));
            }
        }
    }

    [Fact]
    public void NoRandomFrameHasHeadersOutsideOfIt()
    {
        var random = new Random(3);
        byte[][] seeds = [TestFrames.Transport(30), TestFrames.Transport(30, v6: true), TestFrames.Transport(30, tags: 1)];
        int found = 0;
        for (int i = 0; i < 50_000; i++)
        {
            byte[] frame = (byte[])seeds[i % 3].Clone();
            for (int change = 0; change < 3; change++)
            {
                frame[random.Next(12, 60)] = (byte)random.Next(256);
            }

            if (FrameHeaders.TryParse(frame, out FrameHeaders headers))
            {
                found++;
                Assert.True(14 <= headers.Network && headers.Network < headers.Transport && headers.Transport < headers.Payload
                    && headers.Payload <= headers.End && headers.End <= frame.Length && headers.Checksum + 2 <= headers.Payload);
            }
        }

        Assert.InRange(found, 1000, 49_000);
    }
}
