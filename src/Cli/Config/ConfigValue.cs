namespace Dbt.Cli.Config;

/// <summary>A value of an xl.cfg file, and where it stands.</summary>
internal abstract record ConfigValue(ConfigPosition Position);

/// <summary>A string, its escapes resolved.</summary>
internal sealed record ConfigString(ConfigPosition Position, string Text) : ConfigValue(Position);

/// <summary>A number.</summary>
internal sealed record ConfigNumber(ConfigPosition Position, long Value) : ConfigValue(Position);

/// <summary>A list; its elements may be lists.</summary>
internal sealed record ConfigList(ConfigPosition Position, IReadOnlyList<ConfigValue> Items) : ConfigValue(Position);
