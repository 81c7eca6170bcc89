using Iced.Intel;

namespace Dbt.Tests.Translator.Isa;

/// <summary>docs/isa-vectors.tsv: what the last long run of the oracle ran, encoding by encoding.</summary>
internal sealed class VectorRuns
{
    private readonly Dictionary<string, (long Registers, long Memory)> _runs = [];

    /// <summary>Reads the file; its first line says what run it is.</summary>
    public VectorRuns(string path)
    {
        string[] lines = File.ReadAllLines(path);
        Title = lines[0].TrimStart('#', ' ').Split(':')[0];
        foreach (string[] fields in lines.Skip(1).Select(line => line.Split('\t')))
        {
            _runs[fields[0]] = (long.Parse(fields[1]), long.Parse(fields[2]));
        }
    }

    /// <summary>What run it was: vectors and seed.</summary>
    public string Title { get; }

    /// <summary>Runs of an encoding, with registers alone and with memory.</summary>
    public (long Registers, long Memory) Of(Code code) => _runs.GetValueOrDefault(code.ToString());
}
