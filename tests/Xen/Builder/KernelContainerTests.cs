using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Dbt.Xen.Builder;
using K4os.Compression.LZ4;
using SharpCompress.Compressors.LZMA;

namespace Dbt.Tests.Xen.Builder;

public class KernelContainerTests
{
    private static readonly byte[] Elf = [.. "\u007FELF"u8, .. Enumerable.Range(0, 300_000).Select(i => (byte)(i * i >> 7))];

    public static TheoryData<string> Formats => ["gzip", "zstd", "lz4", "lzma", "bzip2", "none"];

    [Theory]
    [MemberData(nameof(Formats))]
    public void ABzImagesPayloadIsFound(string format)
    {
        byte[] payload = Compress(format);
        byte[] withSize = format is "gzip" or "none" ? payload : [.. payload, .. BitConverter.GetBytes(Elf.Length)];
        Assert.Equal(Elf, KernelContainer.Unwrap(BzImage(withSize)));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void ACompressedElfFileIsFound(string format) => Assert.Equal(Elf, KernelContainer.Unwrap(Compress(format)));

    [Fact]
    public void ACompressedBzImageIsFound() => Assert.Equal(Elf, KernelContainer.Unwrap(Gzip(BzImage(Compress("zstd")))));

    [RequiresToolTheory("xz")]
    [InlineData("--x86 --lzma2=dict=1MiB --check=crc32")]
    [InlineData("--check=crc64")]
    [InlineData("--check=none")]
    public void AnXzPayloadIsFound(string options)
    {
        byte[] payload = Tool.Filter("xz", $"-c {options}", Elf);
        Assert.Equal(Elf, KernelContainer.Unwrap(payload));
        Assert.Equal(Elf, KernelContainer.Unwrap(BzImage([.. payload, .. BitConverter.GetBytes(Elf.Length)])));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void DamagedDataIsRefusedOrWrong(string format)
    {
        byte[] payload = Compress(format);
        var random = new Random(2);
        for (int i = 0; i < 20; i++)
        {
            byte[] damaged = (byte[])payload.Clone();
            damaged[random.Next(Math.Min(8, payload.Length), payload.Length)] ^= (byte)(1 << random.Next(8));
            TryUnwrap(damaged);
            TryUnwrap(damaged[..random.Next(damaged.Length)]);
        }
    }

    [Fact]
    public void ABombIsRefused()
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            byte[] zeroes = new byte[1 << 20];
            for (int i = 0; i < 9; i++)
            {
                gzip.Write(zeroes);
            }
        }

        var exception = Assert.Throws<KernelFormatException>(() => KernelContainer.Unwrap(compressed.ToArray(), 8 << 20));
        Assert.Contains("larger than", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATruncatedBzImageIsRefused()
    {
        byte[] image = BzImage(Compress("gzip"));
        Assert.Contains("truncated", Assert.Throws<KernelFormatException>(() => KernelContainer.Unwrap(image[..^1])).Message, StringComparison.Ordinal);
        image[0x206] = 7;
        Assert.Contains("older", Assert.Throws<KernelFormatException>(() => KernelContainer.Unwrap(image)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsCompressedTooOftenIsRefused()
    {
        byte[] image = Elf;
        for (int i = 0; i < 5; i++)
        {
            image = Gzip(image);
        }

        Assert.Throws<KernelFormatException>(() => KernelContainer.Unwrap(image));
    }

    [Fact]
    public void LzoIsUnderstood()
    {
        // Made by hand from the format's description: every kind of match, a run, and the end.
        byte[] block =
        [
            17 + 5, .. "abcde"u8, // five literals first
            0x80 | (2 << 5) | (1 << 2) | 1, 0, (byte)'x', // 7 from 2 back: "dededed", one literal
            0x0C, 0, // after one literal: 2 from 4 back
            0x40 | (1 << 5) | (0 << 2), 0, // 4 from 1 back
            0, 2, .. "01234567890123456789"u8, // a long run: 3 + 15 + 2
            0x20 | 3, 9 << 2, 0, // 5 from 10 back
            0x20, 30, 0, 0, // 2 + 31 + 30 from 1 back
            0x11, 0, 0,
        ];
        string text = "abcde";
        Copy(7, 2);
        text += "x";
        Copy(2, 4);
        Copy(4, 1);
        text += "01234567890123456789";
        Copy(5, 10);
        Copy(63, 1);
        byte[] plain = new byte[text.Length];
        Assert.True(LzoDecompressor.TryExpandBlock(block, plain));
        Assert.Equal(text, Encoding.ASCII.GetString(plain));
        Assert.False(LzoDecompressor.TryExpandBlock(block, new byte[text.Length - 1]));
        Assert.False(LzoDecompressor.TryExpandBlock(block, new byte[text.Length + 1]));
        for (int length = 0; length < block.Length; length++)
        {
            Assert.False(LzoDecompressor.TryExpandBlock(block.AsSpan(0, length), plain));
        }

        void Copy(int length, int distance)
        {
            for (int i = 0; i < length; i++)
            {
                text += text[^distance];
            }
        }
    }

    [RequiresToolTheory("lzop")]
    [InlineData("-1")]
    [InlineData("-9")]
    [InlineData("-3 -CC --crc32")]
    public void AnLzoPayloadIsFound(string options)
    {
        byte[] payload = Tool.Filter("lzop", $"-c {options}", Elf);
        Assert.Equal(Elf, KernelContainer.Unwrap(payload));
        Assert.Equal(Elf, KernelContainer.Unwrap(BzImage([.. payload, .. BitConverter.GetBytes(Elf.Length)])));
    }

    [Fact]
    public void DamagedLzoIsRefused()
    {
        byte[] lzo = [0x89, 0x4C, 0x5A, 0x4F, 0x00, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0];
        Assert.Contains("lzo", Assert.Throws<KernelFormatException>(() => KernelContainer.Unwrap(lzo)).Message, StringComparison.Ordinal);
        var random = new Random(4);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] data = new byte[random.Next(1, 40)];
            random.NextBytes(data);
            _ = LzoDecompressor.TryExpandBlock(data, new byte[random.Next(64)]);
        }
    }

    private static void TryUnwrap(byte[] data)
    {
        try
        {
            _ = KernelContainer.Unwrap(data);
        }
        catch (KernelFormatException)
        {
        }
    }

    private static byte[] BzImage(byte[] payload)
    {
        const int setupSectors = 3, payloadOffset = 100;
        int start = ((setupSectors + 1) * 512) + payloadOffset;
        byte[] image = new byte[start + payload.Length];
        image[0x1F1] = setupSectors;
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x1FE), 0xAA55);
        Encoding.ASCII.GetBytes("HdrS").CopyTo(image, 0x202);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x206), 0x020F);
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(0x248), payloadOffset);
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(0x24C), payload.Length);
        payload.CopyTo(image, start);
        return image;
    }

    private static byte[] Compress(string format)
    {
        using var result = new MemoryStream();
        switch (format)
        {
            case "none":
                return Elf;
            case "gzip":
                return Gzip(Elf);
            case "zstd":
                using (var stream = new ZstdSharp.CompressionStream(result, leaveOpen: true))
                {
                    stream.Write(Elf);
                }

                return result.ToArray();
            case "bzip2":
                using (var stream = SharpCompress.Compressors.BZip2.BZip2Stream.Create(result, SharpCompress.Compressors.CompressionMode.Compress, false, true))
                {
                    stream.Write(Elf);
                }

                return result.ToArray();
            case "lzma":
                using (var body = new MemoryStream())
                {
                    byte[] properties;
                    using (var stream = LzmaStream.Create(new LzmaEncoderProperties(true), false, body))
                    {
                        stream.Write(Elf);
                        properties = stream.Properties;
                    }

                    return [.. properties, .. BitConverter.GetBytes(-1L), .. body.ToArray()];
                }

            default:
                byte[] block = new byte[LZ4Codec.MaximumOutputSize(Elf.Length)];
                int length = LZ4Codec.Encode(Elf, block);
                return [0x02, 0x21, 0x4C, 0x18, .. BitConverter.GetBytes(length), .. block[..length]];
        }
    }

    private static byte[] Gzip(byte[] data)
    {
        using var result = new MemoryStream();
        using (var gzip = new GZipStream(result, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(data);
        }

        return result.ToArray();
    }
}
