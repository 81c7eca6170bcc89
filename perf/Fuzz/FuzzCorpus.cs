namespace Dbt.Perf.Fuzz;

/// <summary>Cases that met something new, and new ones made from them. Deterministic by its seed.</summary>
internal sealed class FuzzCorpus(int seed, int longest)
{
    private const int Most = 4096;
    private readonly Random _random = new(seed);
    private readonly List<byte[]> _kept = [];

    /// <summary>Cases kept.</summary>
    public int Count => _kept.Count;

    /// <summary>Keeps a case; where there are too many, in place of another.</summary>
    public void Keep(byte[] bytes)
    {
        if (_kept.Count < Most)
        {
            _kept.Add(bytes);
        }
        else
        {
            _kept[_random.Next(Most)] = bytes;
        }
    }

    /// <summary>The next case: a random one, or one made from those that are kept.</summary>
    public byte[] Next()
    {
        if (_kept.Count == 0 || _random.Next(4) == 0)
        {
            byte[] fresh = new byte[_random.Next(16, longest)];
            _random.NextBytes(fresh);
            return fresh;
        }

        // The younger ones have met what is rarer.
        int age = _random.Next(2) == 0 ? _random.Next(Math.Min(64, _kept.Count)) : _random.Next(_kept.Count);
        var bytes = new List<byte>(_kept[_kept.Count - 1 - age]);
        for (int changes = 1 << _random.Next(5); changes > 0; changes--)
        {
            Change(bytes);
        }

        return [.. bytes.Take(longest)];
    }

    private void Change(List<byte> bytes)
    {
        int at = bytes.Count == 0 ? 0 : _random.Next(bytes.Count);
        switch (_random.Next(7))
        {
            case 0 when bytes.Count > 0:
                bytes[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1 when bytes.Count > 0:
                bytes[at] = (byte)_random.Next(256);
                break;
            case 2 when bytes.Count > 0:
                bytes[at] += (byte)_random.Next(-4, 5);
                break;
            case 3:
                bytes.Insert(at, (byte)_random.Next(256));
                break;
            case 4 when bytes.Count > 16:
                bytes.RemoveRange(at, Math.Min(_random.Next(1, 12), bytes.Count - at));
                break;
            case 5:
                byte[] other = _kept[_random.Next(_kept.Count)];
                int from = other.Length == 0 ? 0 : _random.Next(other.Length);
                bytes.InsertRange(at, other.Skip(from).Take(_random.Next(1, 64)));
                break;
            default:
                for (int i = 0; i < 4 && at + i < bytes.Count; i++)
                {
                    bytes[at + i] = (byte)_random.Next(256);
                }

                break;
        }
    }
}
