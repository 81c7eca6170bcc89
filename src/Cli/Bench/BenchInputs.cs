using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Dbt.Cli.Bench;

/// <summary>What the programs work on: made here, always the same but for the RSA key, and put into the native run and all guests.</summary>
internal static class BenchInputs
{
    private const int NoiseBytes = 8 << 20, TextBytes = 20 << 20, Words = 4000, Rate = 44100, Seconds = 28, Width = 1024, Height = 768, KeyBits = 4096;

    /// <summary>Writes them.</summary>
    /// <param name="folder">An empty folder.</param>
    /// <param name="scale">What programs take part of is longer where it is above 1.</param>
    public static void Write(string folder, double scale)
    {
        double longer = Math.Max(1, scale);
        byte[] noise = new byte[NoiseBytes];
        var numbers = new Generator();
        foreach (ref byte value in noise.AsSpan())
        {
            value = (byte)numbers.Next(256);
        }

        File.WriteAllBytes(Path.Combine(folder, "noise"), noise);
        File.WriteAllText(Path.Combine(folder, "text"), Text((int)(TextBytes * longer)));
        File.WriteAllBytes(Path.Combine(folder, "sound.wav"), Sound((int)(Rate * Seconds * longer)));
        File.WriteAllBytes(Path.Combine(folder, "picture.ppm"), Picture());
        using var key = RSA.Create(KeyBits);
        File.WriteAllText(Path.Combine(folder, "key.pem"), key.ExportRSAPrivateKeyPem() + "\n");
    }

    // Lines with a number at each end and words between, few of which are frequent, as in languages.
    private static string Text(int length)
    {
        const string letters = "etaoinshrdlucmfwypvbgkjqxz";
        var numbers = new Generator();
        string[] words = new string[Words];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = string.Create(2 + numbers.Next(9), numbers, (word, from) =>
            {
                foreach (ref char letter in word)
                {
                    letter = letters[from.Next(letters.Length) * from.Next(letters.Length) / letters.Length];
                }
            });
        }

        var text = new StringBuilder(length + 200);
        for (int line = 1; text.Length < length; line++)
        {
            text.Append(line);
            for (int count = 6 + numbers.Next(8); count > 0; count--)
            {
                text.Append(' ').Append(words[(int)((long)numbers.Next(Words) * numbers.Next(1000) * numbers.Next(1000) / 1_000_000)]);
            }

            text.Append(' ').Append(numbers.Next(100_000)).Append('\n');
        }

        return text.ToString();
    }

    // A melody of two tones and noise, 16 bits, two channels.
    private static byte[] Sound(int frames)
    {
        const int headerBytes = 44, frameBytes = 4;
        var numbers = new Generator();
        byte[] file = new byte[headerBytes + (frames * frameBytes)];
        Span<byte> header = file;
        "RIFF"u8.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], file.Length - 8);
        "WAVEfmt "u8.CopyTo(header[8..]);
        int[] format = [16, 1 | (2 << 16), Rate, Rate * frameBytes, frameBytes | (16 << 16)];
        for (int i = 0; i < format.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(header[(16 + (i * 4))..], format[i]);
        }

        "data"u8.CopyTo(header[36..]);
        BinaryPrimitives.WriteInt32LittleEndian(header[40..], frames * frameBytes);
        for (int i = 0; i < frames; i++)
        {
            double tone = Math.Sin(i * .031 * (1 + (i / (Rate / 4) % 7))) + (.5 * Math.Sin(i * .0957) * Math.Sin(i * .0003)) + ((numbers.Next(2000) - 1000) / 1e4);
            BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(headerBytes + (i * frameBytes)), (short)(9000 * tone));
            BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(headerBytes + (i * frameBytes) + 2), (short)(7000 * tone * Math.Cos(i * .0001)));
        }

        return file;
    }

    // Smooth shapes with some grain.
    private static byte[] Picture()
    {
        var numbers = new Generator();
        var file = new MemoryStream();
        file.Write(Encoding.ASCII.GetBytes($"P6\n{Width} {Height}\n255\n"));
        for (int y = 0; y < Height; y++)
        {
            for (int x = 0; x < Width; x++)
            {
                int value = (int)(96 + (60 * Math.Sin(x * y * .0001))) + numbers.Next(16);
                file.Write([(byte)value, (byte)(value + (x / 8)), (byte)(255 - (y / 4))]);
            }
        }

        return file.ToArray();
    }

    /// <summary>Park and Miller's generator: the same numbers with every version of .NET.</summary>
    private sealed class Generator
    {
        private long _state = 1;

        public int Next(int bound)
        {
            _state = _state * 16807 % int.MaxValue;
            return (int)(_state * bound / int.MaxValue);
        }
    }
}
