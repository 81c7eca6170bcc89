namespace Dbt.Cli.Config;

/// <summary>What a guest's configuration was read from.</summary>
/// <param name="Text">All settings, those of the command line included.</param>
/// <param name="Path">What the file is called, absolute: paths are looked for in its folder too; null for none.</param>
/// <param name="Folder">Absolute: where paths are looked for first.</param>
internal sealed record ConfigOrigin(string Text, string? Path, string Folder)
{
    /// <summary>Reads it again.</summary>
    /// <param name="disksAreHeld">Who has the guest still has its disks: they are looked at when they are opened.</param>
    /// <exception cref="ConfigException">It says what can't be done here.</exception>
    public GuestConfig Read(bool disksAreHeld) => Path is null
        ? GuestConfigReader.ReadSettings(ConfigFile.Parse("configuration", Text), [], Folder, needsKernel: false, disksAreHeld)
        : GuestConfigReader.Read(Path, Text, [], Folder, disksAreHeld);
}
